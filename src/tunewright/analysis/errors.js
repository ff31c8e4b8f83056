// The worst errors: filtered, searched and put in order on the page itself. Without it the table is whole.
(() => {
  const section = document.getElementById("errors");
  if (!section) return;
  const tools = section.querySelector("form"), body = section.querySelector("tbody"), told = section.querySelector("output");
  const rows = [...body.rows].map((row, place) => {
    const [number, text, right, given, sure] = [...row.cells].map((cell) => cell.textContent.trim());
    return { row, place, number: Number(number), text: text.toLowerCase(), right, given, sure: sure === "" ? NaN : Number(sure) };
  });
  const { right, given, words, order } = tools.elements;

  const fill = (select, key) => {
    const counts = new Map();
    for (const one of rows) counts.set(one[key], (counts.get(one[key]) || 0) + 1);
    for (const [name, many] of [...counts].sort((a, b) => b[1] - a[1])) select.add(new Option(`${name} (${many})`, name));
  };
  const orders = {
    wrong: (a, b) => a.place - b.place,
    surest: (a, b) => b.sure - a.sure || a.place - b.place,
    unsure: (a, b) => a.sure - b.sure || a.place - b.place,
    row: (a, b) => a.number - b.number,
  };

  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) =>
      (!right.value || one.right === right.value.slice(1)) &&
      (!given.value || one.given === given.value.slice(1)) &&
      wanted.every((word) => one.text.includes(word));
    const shown = rows.filter(fits).sort(orders[order.value]);
    body.replaceChildren(...shown.map((one) => one.row));
    shown.forEach((one, place) => (one.row.tabIndex = place ? -1 : 0));
    told.textContent = shown.length === rows.length ? `${rows.length} errors` : `${shown.length} of ${rows.length} errors`;
  };

  const move = (event) => {
    const at = event.target.closest("tbody tr");
    const other = { ArrowDown: at?.nextElementSibling, ArrowUp: at?.previousElementSibling }[event.key];
    if (!other) return;
    event.preventDefault();
    at.tabIndex = -1;
    other.tabIndex = 0;
    other.focus();
  };

  fill(right, "right");
  fill(given, "given");
  for (const select of [right, given]) for (const option of [...select.options].slice(1)) option.value = `=${option.value}`;
  if (rows.every((one) => Number.isNaN(one.sure))) for (const name of ["surest", "unsure"]) order.querySelector(`[value=${name}]`).remove();
  tools.addEventListener("input", show);
  tools.addEventListener("reset", () => setTimeout(show));
  tools.addEventListener("submit", (event) => event.preventDefault());
  body.addEventListener("keydown", move);
  tools.hidden = false;
  show();
})();
