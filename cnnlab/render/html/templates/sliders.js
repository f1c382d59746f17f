// A scrub shows one frame, which its slider chooses.
for (const figure of all("figure.drawing")) {
  figure.classList.add("live");
  for (const slider of all(".slider", figure)) {
    const input = slider.querySelector("input");
    const stops = JSON.parse(input.dataset.stops);
    const show = () => {
      slider.querySelector("output").value = stops[input.value];
      input.setAttribute("aria-valuetext", stops[input.value]);
      for (const frame of all(`.frame[data-scrub="${input.dataset.slider}"]`, figure))
        frame.classList.toggle("shown", frame.dataset.stop === input.value);
    };
    input.addEventListener("input", show);
    slider.hidden = false;
    show();
  }
}
