"""The whole report: sections that ask a model, profiles that list sections, and the page that shows them."""
