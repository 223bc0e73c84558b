// Curves: one row of charts per metric, the full frame beside the region of interest.
// Of many codecs, only the best and the anchor are shown at first.
const MANY = 12, FIRST = 8;
const shownCodecs = new Set([...data.codecs.keys()].filter((codec) => data.codecs.length <= MANY || codec < FIRST || data.codecs[codec].name === data.anchor));
{
  const section = get("curves"), image = get("curve-image");
  data.images.forEach((name, number) => image.append(option(String(number), name)));
  image.addEventListener("change", () => redraw(section));

  const boxes = get("codec-boxes");
  function drawBoxes() {
    boxes.replaceChildren(...data.codecs.map((codec, number) => {
      const box = make("input", { type: "checkbox", checked: shownCodecs.has(number), value: String(number) });
      box.addEventListener("change", () => {
        if (box.checked) shownCodecs.add(number); else shownCodecs.delete(number);
        redraw(section);
      });
      return make("label", { title: codec.name }, box, keyOf(number), make("span", { class: "name", textContent: codec.name }));
    }));
  }
  function setAll(on) {
    data.codecs.forEach((_, number) => { if (on) shownCodecs.add(number); else shownCodecs.delete(number); });
    for (const box of boxes.querySelectorAll("input")) box.checked = on;
    redraw(section);
  }
  get("all-codecs").addEventListener("click", () => setAll(true));
  get("no-codecs").addEventListener("click", () => setAll(false));

  // A sample of a codec's line and marker, drawn by hand since plotly's legend is not used.
  const PATHS = {
    circle: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z", square: "M-4,-4h8v8h-8Z", diamond: "M0,-5L5,0L0,5L-5,0Z", "triangle-up": "M0,-5L5,4H-5Z",
    cross: "M-5,-1.7h3.3v-3.3h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3Z", "triangle-down": "M0,5L5,-4H-5Z",
    x: "M-4.6,-2.4L-2.4,-4.6L0,-2.2L2.4,-4.6L4.6,-2.4L2.2,0L4.6,2.4L2.4,4.6L0,2.2L-2.4,4.6L-4.6,2.4L-2.2,0Z",
    star: "M0,-5.5L1.5,-1.7L5.5,-1.7L2.3,0.8L3.4,4.8L0,2.5L-3.4,4.8L-2.3,0.8L-5.5,-1.7L-1.5,-1.7Z",
  };
  const DASH_ARRAYS = { solid: "", dash: "6 3", dot: "2 2", dashdot: "6 2 2 2" };
  function keyOf(codec) {
    const { colour, shape, dash } = styleOf(codec), space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    for (const [name, value] of Object.entries({ width: 30, height: 12, viewBox: "-15 -6 30 12", "aria-hidden": "true" })) svg.setAttribute(name, value);
    const line = document.createElementNS(space, "path");
    line.setAttribute("d", "M-15,0H15"); line.setAttribute("stroke", colour); line.setAttribute("stroke-width", "2");
    line.setAttribute("stroke-dasharray", DASH_ARRAYS[dash]);
    const mark = document.createElementNS(space, "path");
    mark.setAttribute("d", PATHS[shape]); mark.setAttribute("fill", colour);
    svg.append(line, mark);
    return svg;
  }

  function pointsOf(metric, codec) {
    if (image.value === "") return data.curves[metric][codec].reason ? null : data.curves[metric][codec];
    const number = Number(image.value);
    const rates = data.single.rates[codec][number], values = data.single.values[metric][codec][number];
    const order = [...rates.keys()].filter((i) => rates[i] !== null && values[i] !== null).sort((a, b) => rates[a] - rates[b]);
    return order.length ? { rates: order.map((i) => rates[i]), values: order.map((i) => values[i]) } : null;
  }

  function buildCurves(metric) {
    const traces = [], about = metricOf.get(metric);
    for (const codec of [...shownCodecs].sort((a, b) => b - a)) {
      const curve = pointsOf(metric, codec);
      if (!curve) continue;
      const { colour, shape, dash } = styleOf(codec), name = plain(data.codecs[codec].name);
      if (curve.low && curve.low.every((value) => value !== null)) {
        traces.push({ type: "scatter", mode: "lines", x: [...curve.rates, ...[...curve.rates].reverse()], y: [...curve.high, ...[...curve.low].reverse()],
          fill: "toself", fillcolor: colour + "22", line: { width: 0, color: colour }, hoverinfo: "skip", name });
      }
      traces.push({ type: "scatter", mode: "lines+markers", x: curve.rates, y: curve.values, name, hoverinfo: "text",
        text: curve.rates.map((rate, i) => `${name}${curve.names ? `, ${plain(curve.names[i])}` : ""}<br>${curve.images ? `mean of ${curve.images} images<br>` : ""}${short(rate)} bits per pixel<br>${plain(about.label)} ${short(curve.values[i])} ${about.unit}`),
        line: { color: colour, width: 1.75, dash }, marker: { color: colour, symbol: shape, size: 7 } });
    }
    const title = `${about.label}${about.unit ? ", " + about.unit : ""}`;
    const layout = layoutOf(rateAxis(), axis(plain(title, 40), about.better === "lower" ? { autorange: "reversed" } : {}));
    if (!traces.length) layout.annotations = [{ text: "Nothing to show.", font: { color: colourOf("--soft") }, showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
    return { traces, layout };
  }

  function addFigure(row, metric, where) {
    const about = metricOf.get(metric), id = `curve-${metric}`;
    const element = make("div", { class: "chart", id, role: "img", "aria-labelledby": `${id}-caption` });
    row.append(make("figure", {}, element, make("figcaption", { id: `${id}-caption`, textContent: `${where}. ${about.text[0].toUpperCase()}${about.text.slice(1)}.` })));
    addChart(element, () => buildCurves(metric));
  }

  // Codecs without a mean curve, each with its reason, and those whose mean lacks some images.
  function explainMeans() {
    const lines = new Set();
    for (const { name } of data.metrics) {
      data.curves[name].forEach((curve, codec) => {
        const about = `${data.codecs[codec].name}, ${metricOf.get(name).label}: `;
        if (curve.reason) lines.add(`${about}${curve.reason}`);
        else if (curve.leftOut) lines.add(`${about}mean of ${curve.images} images; ${curve.leftOut} lack some points`);
      });
    }
    if (!lines.size) return;
    get("curve-notes").append(make("details", {}, make("summary", { textContent: `Mean curves that lack images or are missing: ${lines.size}` }),
      make("ul", { class: "remarks" }, ...[...lines].map((line) => make("li", { textContent: line })))));
  }

  for (const base of new Set(data.metrics.map((metric) => metric.base))) {
    const full = metricOf.get(base), region = metricOf.get(`roi_${base}`);
    const row = make("div", { class: "pair" });
    get("curve-charts").append(make("h3", { textContent: (full || region).label.replace(" (ROI)", "") }), row);
    if (full) addFigure(row, full.name, "Full frame");
    if (region) addFigure(row, region.name, "Region of interest");
    else row.append(make("p", { class: "missing", textContent: "Not measured in a region of interest." }));
  }
  explainMeans();
  if (data.codecs.length > MANY) get("codec-note").textContent = `The ${FIRST} best codecs and the anchor are switched on; ${data.codecs.length - shownCodecs.size} more can be.`;
  drawBoxes();
  document.addEventListener("themechange", drawBoxes);
}
