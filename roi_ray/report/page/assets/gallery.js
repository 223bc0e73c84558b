// The viewer of the gallery: flip, slider and side by side, with zoom, overlays and panning.
{
  const root = document.getElementById("gallery-viewer");
  const find = (selector) => root.querySelector(selector);
  const findAll = (selector) => [...root.querySelectorAll(selector)];
  const { items, pictures } = JSON.parse(document.getElementById("gallery-data").textContent);
  const byNumber = new Map(items.map((item) => [item.number, item]));
  const stage = find(".gallery-stage"), body = find(".gallery-body"), slider = find("#gallery-slider");
  const panes = findAll(".gallery-pane").map((figure) => ({
    figure, frame: figure.querySelector(".gallery-frame"), plane: figure.querySelector(".gallery-plane"),
    divider: figure.querySelector(".gallery-divider"), ends: [...figure.querySelectorAll("[data-end]")], layers: new Map(),
  }));
  const buttons = findAll(".gallery-list button");
  const state = { item: null, view: "flip", pair: ["a", "b"], role: "a", zoom: 1, x: 0, y: 0, error: false, mask: false };
  let choice = 0; // number of the latest selection, so that a slower earlier one is dropped

  const choose = (name, value) => { const radio = find(`input[name="gallery-${name}"][value="${value}"]`); if (radio && !radio.disabled) radio.checked = true; };
  const roles = () => ["reference", "a", "b"].filter((role) => role in state.item.pictures);
  const sideOf = (role) => state.item.sides[role === "b" ? 1 : 0];
  function describe(role) {
    if (role === "reference") return "Reference";
    const side = sideOf(role);
    return `${side.letter}: ${side.name}${side.bits ? `, ${side.bits} bits per pixel` : ""}`;
  }
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function makeImage(name, kind, alt) {
    const image = new Image();
    image.className = kind;
    image.decoding = "sync";
    image.alt = alt;
    image.src = `data:image/webp;base64,${pictures[name]}`;
    return image;
  }

  // Builds what a pane shows, and waits until every picture is decoded: a flip then only uncovers one.
  async function fill(pane, shown) {
    const layers = new Map(), images = [];
    for (const role of shown) {
      const layer = document.createElement("div");
      layer.className = "gallery-layer";
      layer.dataset.role = role;
      layer.append(makeImage(state.item.pictures[role], "gallery-picture", `Part of ${state.item.title}: ${describe(role)}`));
      const error = state.item.pictures[`error_${role}`];
      if (error) layer.append(makeImage(error, "gallery-overlay gallery-error", ""));
      layers.set(role, layer);
      images.push(...layer.children);
    }
    const nodes = [...layers.values()];
    if (state.item.pictures.mask) { nodes.push(makeImage(state.item.pictures.mask, "gallery-overlay gallery-mask", "")); images.push(nodes.at(-1)); }
    await Promise.all(images.map((image) => image.decode()));
    return () => { pane.layers = layers; pane.plane.replaceChildren(...nodes); };
  }

  async function load() {
    const mine = ++choice;
    const shown = state.view === "side" ? roles().map((role) => [role]) : [roles()];
    const swaps = await Promise.all(shown.map((each, number) => fill(panes[number], each)));
    if (mine !== choice) return;
    for (const swap of swaps) swap();
    panes.forEach((pane, number) => { pane.figure.hidden = number >= shown.length; });
    draw();
  }

  function select(number) {
    for (const button of buttons) {
      if (Number(button.dataset.item) === number) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
    }
    for (const part of findAll(".gallery-text, .gallery-facts")) part.hidden = Number(part.dataset.item) !== number;
    const item = byNumber.get(number);
    stage.hidden = !item;
    body.classList.toggle("bare", !item);
    if (!item) return;
    const had = state.item;
    state.item = item;
    const two = item.sides.length > 1;
    for (const input of findAll('input[value="b"], input[value="a b"], input[value="reference b"]')) input.disabled = !two;
    if (!two && state.pair.includes("b")) setPair(["reference", "a"]);
    else if (two && had && had.sides.length < 2) setPair(["a", "b"]);
    if (!roles().includes(state.role)) setRole("a");
    for (const place of [0, 1]) {
      const side = item.sides[place];
      find(`[data-side="${place}"]`).textContent = side?.name ?? "";
      find(`[data-bits="${place}"]`).textContent = side?.bits ? `${side.bits} bits per pixel` : "";
    }
    const mask = find("#gallery-mask");
    mask.disabled = !item.pictures.mask;
    find("#gallery-scale").textContent = item.scale;
    state.x = state.y = 0;
    load();
  }

  function setPair(pair) { state.pair = pair; choose("pair", pair.join(" ")); }
  function setRole(role) { state.role = role; choose("role", role); }
  // Flip and slider show the same pictures, which are there already.
  function setView(view) {
    const isLoaded = view !== "side" && state.view !== "side";
    state.view = view;
    if (isLoaded) draw(); else load();
  }
  function setZoom(zoom) {
    const { frame } = panes[0], old = state.zoom;
    // The middle stays where it is.
    state.x = ((state.x + frame.clientWidth / 2) / old) * zoom;
    state.y = ((state.y + frame.clientHeight / 2) / old) * zoom;
    state.zoom = zoom;
    choose("zoom", zoom);
    measure();
    state.x -= frame.clientWidth / 2;
    state.y -= frame.clientHeight / 2;
    draw();
  }
  function measure() {
    stage.style.setProperty("--w", state.item.width * state.zoom);
    stage.style.setProperty("--h", state.item.height * state.zoom);
  }

  function draw() {
    if (!state.item) return;
    const { view, pair, role } = state;
    body.classList.toggle("wide", view === "side");
    find("#gallery-pairs").hidden = view === "side" || state.item.sides.length < 2;
    find("#gallery-shown").hidden = view !== "flip";
    find(".gallery-slider").hidden = view !== "slider";
    find("#gallery-error-legend").hidden = !state.error;
    find("#gallery-mask-legend").hidden = !(state.mask && state.item.pictures.mask);
    measure();
    stage.style.setProperty("--overlay", find("#gallery-opacity").value / 100);
    for (const pane of panes) if (!pane.figure.hidden) drawPane(pane);
    find("#gallery-status").textContent = view === "flip" ? describe(role) : "";
    if (view === "slider") slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % ${describe(pair[0])}, the rest ${describe(pair[1])}`);
  }

  function drawPane(pane) {
    const { view, pair, role } = state;
    const { frame, plane, divider, layers, ends } = pane;
    const width = state.item.width * state.zoom, height = state.item.height * state.zoom;
    // Whole pixels, so that 1:1 is exact.
    state.x = Math.round(clamp(state.x, 0, Math.max(0, width - frame.clientWidth)));
    state.y = Math.round(clamp(state.y, 0, Math.max(0, height - frame.clientHeight)));
    plane.style.left = `${-state.x}px`;
    plane.style.top = `${-state.y}px`;
    frame.classList.toggle("movable", width > frame.clientWidth + 1 || height > frame.clientHeight + 1);
    const visible = view === "slider" ? pair : view === "flip" ? [role] : [...layers.keys()];
    const split = Math.round((frame.clientWidth * slider.value) / 100);
    for (const [name, layer] of layers) {
      const isShown = visible.includes(name);
      layer.style.visibility = isShown ? "visible" : "hidden";
      layer.style.zIndex = view === "slider" && name === pair[1] ? 1 : 0;
      // Nothing is cut at the other edges: at fractions of a pixel they would be blended.
      layer.style.clipPath = view === "slider" && name === pair[1] ? `inset(-1px -1px -1px ${state.x + split}px)` : "none";
      const error = layer.querySelector(".gallery-error");
      layer.classList.toggle("grey", Boolean(error) && state.error);
      if (error) error.style.visibility = isShown && state.error ? "visible" : "hidden";
    }
    const mask = plane.querySelector(".gallery-mask");
    if (mask) { mask.style.visibility = state.mask ? "visible" : "hidden"; mask.style.zIndex = 2; }
    divider.hidden = view !== "slider";
    divider.style.left = `${split}px`;
    divider.style.zIndex = 3;
    const names = view === "slider" ? pair.map(describe) : view === "side" ? [describe([...layers.keys()][0]), ""] : ["", ""];
    ends.forEach((end, number) => { end.textContent = names[number]; });
    frame.setAttribute("aria-label", `Part of ${state.item.title}: ${visible.map(describe).join(" and ")}`);
  }

  function flip() {
    if (state.view !== "flip") return;
    setRole(state.role === state.pair[0] ? state.pair[1] : state.pair[0]);
    draw();
  }
  function show(role) {
    if (!roles().includes(role)) return;
    setRole(role);
    choose("view", "flip");
    setView("flip");
  }
  function step(by) {
    const index = buttons.findIndex((button) => button.getAttribute("aria-current")) + by;
    if (!buttons[index]) return;
    select(Number(buttons[index].dataset.item));
    buttons[index].scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  function move(x, y) { state.x += x; state.y += y; draw(); }
  function toggle(name) {
    const box = find(`#gallery-${name}`);
    if (box.disabled) return;
    box.checked = state[name] = !state[name];
    draw();
  }

  const zooms = [1, 2, 4];
  const keys = {
    1: () => show("reference"), 2: () => show("a"), 3: () => show("b"),
    "+": () => setZoom(zooms[Math.min(2, zooms.indexOf(state.zoom) + 1)]), "-": () => setZoom(zooms[Math.max(0, zooms.indexOf(state.zoom) - 1)]),
    e: () => toggle("error"), m: () => toggle("mask"), n: () => step(1), p: () => step(-1),
  };
  keys["="] = keys["+"];
  const frameKeys = {
    " ": flip, Enter: flip,
    ArrowLeft: () => move(-32, 0), ArrowRight: () => move(32, 0), ArrowUp: () => move(0, -32), ArrowDown: () => move(0, 32),
  };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !state.item) return;
    const isFrame = event.target.classList.contains("gallery-frame");
    const action = (isFrame && frameKeys[event.key]) || keys[event.key.toLowerCase()];
    // Arrow keys that cannot move the picture scroll the page, as everywhere.
    if (!action || (event.key.startsWith("Arrow") && !event.target.classList.contains("movable"))) return;
    event.preventDefault();
    action();
  });

  for (const pane of panes) {
    const { frame, divider } = pane;
    let start = null;
    const slide = (event) => { slider.value = (100 * (event.clientX - frame.getBoundingClientRect().left)) / frame.clientWidth; draw(); };
    frame.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      start = { x: event.clientX, y: event.clientY, left: state.x, top: state.y, slides: event.target === divider, moved: false };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!start) return;
      if (start.slides) { slide(event); return; }
      const x = event.clientX - start.x, y = event.clientY - start.y;
      if (!start.moved && Math.hypot(x, y) < 5) return;
      start.moved = true;
      frame.classList.add("moving");
      state.x = start.left - x;
      state.y = start.top - y;
      draw();
    });
    const end = (event) => {
      if (start && event.type === "pointerup" && !start.moved && !start.slides) flip();
      start = null;
      frame.classList.remove("moving");
    };
    frame.addEventListener("pointerup", end);
    frame.addEventListener("pointercancel", end);
  }

  root.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (name === "gallery-view") setView(value);
    if (name === "gallery-pair") { state.pair = value.split(" "); if (!state.pair.includes(state.role)) setRole(state.pair[1]); draw(); }
    if (name === "gallery-role") { state.role = value; draw(); }
    if (name === "gallery-zoom") setZoom(Number(value));
    if (event.target.id === "gallery-error" || event.target.id === "gallery-mask") { state[event.target.id.slice(8)] = event.target.checked; draw(); }
  });
  find("#gallery-opacity").addEventListener("input", draw);
  slider.addEventListener("input", draw);
  for (const button of buttons) button.addEventListener("click", () => select(Number(button.dataset.item)));
  const explainRatio = () => {
    const ratio = Math.round(devicePixelRatio * 100) / 100;
    find("#gallery-ratio").textContent = ratio === 1 ? "" : `, which on this screen is ${ratio} \u00d7 ${ratio} screen pixels`;
  };
  addEventListener("resize", () => { explainRatio(); draw(); });
  explainRatio();

  // Nothing is decoded before the gallery comes near.
  const first = items[0]?.number ?? Number(buttons[0]?.dataset.item);
  for (const part of findAll(".gallery-text, .gallery-facts")) part.hidden = Number(part.dataset.item) !== first;
  stage.hidden = !items.length;
  if (items.length) {
    const size = items[0];
    stage.style.setProperty("--w", size.width);
    stage.style.setProperty("--h", size.height);
  }
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    if (buttons.length) select(first);
  }, { rootMargin: "600px" });
  watch.observe(root);
}
