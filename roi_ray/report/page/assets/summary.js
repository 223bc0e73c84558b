// The distribution of BD-rates over images, and the tables that belong to it.
{
  const select = get("detail-metric");
  if (select) {
    select.addEventListener("change", () => {
      for (const table of document.querySelectorAll(".detail")) table.hidden = table.dataset.metric !== select.value;
      redraw(get("summary"));
    });
  }

  // Points of one codec are moved up and down by a fixed pattern, so that equal ones stay visible.
  const jitter = (number) => (((number * 7) % 11) / 10 - 0.5) * 0.5;

  const FEW = 6;  // images, below which quartiles say nothing
  function buildDistribution() {
    const savings = data.savings[select.value], traces = [], shown = [];
    savings.forEach((saving, codec) => { if (saving && saving.valid) shown.push(codec); });
    shown.forEach((codec, row) => {
      const saving = savings[codec], { colour, shape } = styleOf(codec), name = data.codecs[codec].name;
      if (saving.box && saving.valid >= FEW) {
        const [low, q1, median, q3, high] = saving.box;
        traces.push({ type: "box", orientation: "h", y: [row], q1: [q1], median: [median], q3: [q3], lowerfence: [low], upperfence: [high],
          width: 0.7, line: { color: colour, width: 1.25 }, fillcolor: "transparent", hoverinfo: "skip" });
      }
      const x = [], y = [], text = [];
      saving.perImage.forEach((value, image) => {
        if (value === null) return;
        x.push(value); y.push(row + jitter(image));
        text.push(`${plain(name)}<br>${plain(data.images[image], 48)}<br>${percent(value)}`);
      });
      traces.push({ type: "scatter", mode: "markers", x, y, text, hoverinfo: "text", marker: { color: colour, symbol: shape, size: 5, opacity: 0.6 } });
      if (saving.mean) {
        traces.push({ type: "scatter", mode: "markers", x: [saving.mean[0]], y: [row], text: [`${plain(name)}<br>mean ${percent(saving.mean[0])}`],
          hoverinfo: "text", marker: { symbol: "diamond", size: 11, color: colourOf("--paper"), line: { color: colourOf("--ink"), width: 2 } } });
      }
    });
    const names = shown.map((codec) => plain(data.codecs[codec].name, 18));
    const layout = layoutOf(
      axis(`BD-rate by ${plain(metricOf.get(select.value).label)}, %`, { zeroline: true, zerolinecolor: colourOf("--ink"), zerolinewidth: 1.5 }),
      axis("", { tickvals: shown.map((_, row) => row), ticktext: names, range: [shown.length - 0.4, -0.6], showgrid: false }),
      { margin: { l: 20, r: 12, t: 8, b: 44 } });
    if (!shown.length) layout.annotations = [{ text: "No image has a valid BD-rate by this metric.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
    return { traces, layout };
  }
  const chart = get("distribution-chart");
  if (chart) {
    chart.style.height = `${Math.max(12, 5 + 2.6 * (data.codecs.length - 1))}rem`;
    addChart(chart, buildDistribution);
  }
}
