// Starts the page that the address asks for.

import { resultsPage } from "./results.js";
import { scorePage } from "./score.js";
import { current, listen, tell } from "./state.js";

const main = document.getElementById("main");
const pages = { results: resultsPage, score: scorePage };
let shown = null;

listen((state) => {
  const name = state.tab in pages ? state.tab : "results";
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (shown?.name !== name) {
    main.replaceChildren();
    shown = { name, update: pages[name](main) };
  }
  shown.update(current());
});

tell();
