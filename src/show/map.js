function (id) {
  // The map of one cell: zooming changes what part of the drawing is shown, finding fades what has another name.
  const figure = document.getElementById(id);
  const svg = figure.querySelector("svg");
  const [field, button, status] = ["input", "button", "[role=status]"].map((name) => figure.querySelector(name));
  const groups = [...svg.querySelectorAll("g[data-node]")];
  const up = new Map(groups.map((group) => [group.dataset.node, group.dataset.up]));
  const whole = svg.getAttribute("viewBox");
  const path = [];
  const isBelow = (node, root) => {
    for (let steps = 0; steps < 1000 && node !== undefined; steps += 1) {
      if (node === root) return true;
      if (node === "0") return false;
      node = up.get(node);
    }
    return false;
  };
  const show = () => {
    if (path.length === 0) {
      svg.setAttribute("viewBox", whole);
      status.textContent = "all";
      return;
    }
    const root = path[path.length - 1];
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const group of groups.filter((group) => isBelow(group.dataset.node, root))) {
      const rect = group.firstElementChild;
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x + width), Math.max(bottom, y + height)];
    }
    svg.setAttribute("viewBox", [left, top, right - left, bottom - top].join(" "));
    const group = groups.find((group) => group.dataset.node === root);
    status.textContent = group ? group.querySelector("title").textContent.split("\n").slice(0, 2).join(" · ") : "";
  };
  const zoom = (group) => {
    const node = group.dataset.node;
    if (path[path.length - 1] !== node) path.push(node);
    show();
  };
  const leave = () => {
    path.pop();
    show();
  };
  for (const group of groups) {
    group.setAttribute("tabindex", "0");
    group.addEventListener("click", () => zoom(group));
    group.addEventListener("focus", () => {
      status.textContent = group.querySelector("title").textContent.split("\n").slice(0, 2).join(" · ");
    });
  }
  button.addEventListener("click", leave);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const group of groups) {
      const name = group.querySelector("title").textContent.split("\n").pop().toLowerCase();
      group.style.opacity = wanted === "" || name.includes(wanted) ? "1" : "0.2";
    }
  });
  figure.addEventListener("keydown", (event) => {
    const group = event.target.closest ? event.target.closest("g[data-node]") : null;
    if (event.key === "Enter" && group) zoom(group);
    else if (event.key === "Escape" || (event.key === "Backspace" && event.target !== field)) leave();
    else if (event.key === "/" && event.target !== field) field.focus();
    else return;
    event.preventDefault();
  });
}
