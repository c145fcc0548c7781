"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", ({ target }) => {
    const head = target.closest("button")?.closest("th");
    if (!head) return;
    const other = { ascending: "descending", descending: "ascending" };
    const order = other[head.getAttribute("aria-sort")] ?? head.dataset.first;
    for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => row.cells[head.cellIndex]?.dataset.value ?? "";
    const compare = (a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      return sign * (left - right || left.localeCompare(right));
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  });
}
for (const key of document.querySelectorAll(".key")) {
  key.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const shown = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", shown);
    for (const line of key.parentElement.querySelectorAll(`[data-line="${button.value}"]`))
      line.classList.toggle("off", !shown);
  });
}
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
