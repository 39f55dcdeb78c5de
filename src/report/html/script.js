"use strict";
(() => {
  // A line is a block of its own on a narrow screen.
  const FIRST = matchMedia("(max-width: 640px)").matches ? 5 : 25;
  const collator = new Intl.Collator(undefined, { numeric: true });

  const examples = (section) => {
    const table = section.querySelector("table[data-sortable]");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const filters = section.querySelector(".filters");
    const found = section.querySelector(".found");
    const more = section.querySelector(".more");
    const text = section.querySelector(".f-text");
    const selects = [...section.querySelectorAll("select")];
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    let whole = rows.length <= FIRST;

    const show = () => {
      const wanted = text.value.trim().toLowerCase();
      const chosen = selects.map((select) => [select.className.slice(2), select.value]).filter(([, value]) => value !== "");
      let matching = 0;
      let shown = 0;
      for (const row of body.rows) {
        const matches = chosen.every(([name, value]) => row.dataset[name] === value) && texts.get(row).includes(wanted);
        matching += matches;
        row.hidden = !matches || (!whole && shown >= FIRST);
        shown += !row.hidden;
      }
      found.value = shown === matching ? `${matching} of ${rows.length} shown` : `${shown} of ${matching} shown`;
      more.hidden = shown === matching;
    };

    const sort = (heading, button) => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const place = heading.cellIndex;
      const by = heading.dataset.by;
      const key = (row) => (by ? row.dataset[by] : row.cells[place].textContent.trim());
      const keyed = rows.map((row, order) => [key(row), order, row]);
      keyed.sort((one, other) => (up ? 1 : -1) * collator.compare(one[0], other[0]) || one[1] - other[1]);
      body.append(...keyed.map(([, , row]) => row));
      show();
      button.focus();
    };

    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(heading, button));
    }
    text.addEventListener("input", show);
    for (const select of selects) select.addEventListener("change", show);
    section.querySelector(".reset").addEventListener("click", () => {
      text.value = "";
      for (const select of selects) select.value = "";
      show();
      text.focus();
    });
    section.querySelector(".all").addEventListener("click", () => {
      whole = true;
      show();
      section.querySelector(".scroll").focus();
    });
    // Paper shows every line that the filters leave.
    let before = whole;
    addEventListener("beforeprint", () => { before = whole; whole = true; show(); });
    addEventListener("afterprint", () => { whole = before; show(); });
    filters.hidden = false;
    show();
  };

  const copied = async (button) => {
    const said = button.textContent;
    const pre = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
    } catch {
      // Where a page may not write there, the text is at least chosen, ready for the keyboard.
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = said; }, 2000);
  };

  for (const section of document.querySelectorAll(".examples")) examples(section);
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copied(button));
  }
  // Whoever follows a link to a contract wants to see it.
  const unfold = () => {
    const details = document.getElementById(location.hash.slice(1))?.querySelector("details.fold");
    if (details) details.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  // Paper has no way to open what is closed.
  const closed = new Set();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) { closed.add(details); details.open = true; }
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    closed.clear();
  });
})();
