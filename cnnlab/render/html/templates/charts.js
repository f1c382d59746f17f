// A chart says the values of the point that is nearest: the rows of its table say which points there are.
for (const chart of all(".chart")) {
  const points = all("tr[data-at]", chart).map((row) => {
    const cells = [...row.cells].map((cell) => cell.textContent);
    return { at: numbers(row.dataset.at), group: Number(row.dataset.group), words: `${cells.slice(0, -1).join(", ")}: ${cells.at(-1)}` };
  });
  const plot = chart.querySelector(".plot");
  if (!points.length) continue;
  const readout = made("p", { class: "readout", "aria-hidden": "true" });
  const region = plot.parentElement;
  region.before(readout);
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", 6);
  let chosen = null;
  const show = (found) => {
    chosen = found;
    readout.textContent = found?.words ?? "";
    if (!found) return ring.remove();
    ring.setAttribute("cx", found.at[0]);
    ring.setAttribute("cy", found.at[1]);
    plot.append(ring);
  };
  // Across counts more than up: of a bar all of it is the bar.
  const up = chart.classList.contains("bars") ? 0 : 0.1;
  const nearest = ([x, y], among, weight) => among.reduce((best, each) => {
    const far = (each.at[0] - x) ** 2 + weight * (each.at[1] - y) ** 2;
    return best && best.far <= far ? best : { far, each };
  }, null)?.each;
  const follow = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    show(nearest([at.x, at.y], points, up));
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && show(null));

  const groups = [...new Set(points.map(({ group }) => group))];
  const go = (found) => {
    if (!found) return;
    show(found);
    say(found.words);
    ring.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const along = (step) => {
    const same = points.filter(({ group }) => group === chosen.group);
    return same[same.indexOf(chosen) + step];
  };
  const other = (step) => {
    const group = groups[groups.indexOf(chosen.group) + step];
    return nearest(chosen.at, points.filter((each) => each.group === group), 0);
  };
  region.tabIndex = 0;
  region.setAttribute("role", "application");
  region.setAttribute("aria-roledescription", "chart");
  region.setAttribute("aria-label", `${plot.getAttribute("aria-label")} Arrow keys read its values.`);
  region.addEventListener("focus", () => region.matches(":focus-visible") && go(points[0]));
  region.addEventListener("blur", () => show(null));
  region.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [along, 1], ArrowLeft: [along, -1], ArrowDown: [other, 1], ArrowUp: [other, -1] };
    if (event.key === "Escape") region.blur();
    else if (moves[event.key] && chosen) go(moves[event.key][0](moves[event.key][1]));
    else if (moves[event.key]) go(points[0]);
    else return;
    event.preventDefault();
  });
}
