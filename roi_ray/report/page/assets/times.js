// Predicted preferences with their intervals, and BD-rate over time with the Pareto front.
{
  const wide = (chart, rows) => { chart.style.height = `${Math.max(12, 5 + 2.2 * rows)}rem`; };
  const preference = get("preference-chart");
  if (preference) {
    wide(preference, data.preference.length);
    addChart(preference, () => {
      const traces = data.preference.map(({ codec, score: [score, low, high] }, row) => {
        const { colour, shape } = styleOf(codec), name = plain(data.codecs[codec].name);
        const interval = low === null ? "" : `<br>${short(low)} to ${short(high)}`;
        return { type: "scatter", mode: "markers", x: [score], y: [row], text: [`${name}<br>${short(score)} logits${interval}`], hoverinfo: "text",
          marker: { color: colour, symbol: shape, size: 10 },
          error_x: low === null ? { visible: false } : { type: "data", symmetric: false, array: [high - score], arrayminus: [score - low], color: colour, thickness: 1.75, width: 5 } };
      });
      const names = data.preference.map(({ codec }) => plain(data.codecs[codec].name, 18));
      return { traces, layout: layoutOf(axis("Bradley-Terry score, logits", { zeroline: true, zerolinecolor: colourOf("--strong") }),
        axis("", { tickvals: names.map((_, row) => row), ticktext: names, range: [names.length - 0.4, -0.6], showgrid: false }), { margin: { l: 20, r: 12, t: 8, b: 44 } }) };
    });
  }

  const metric = get("time-metric");
  const times = [-4, -3, -2, -1, 0, 1, 2, 3].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));
  const nameTime = (time) => (time < 1 ? `${Number((1000 * time).toPrecision(1))} ms` : `${time} s`);
  function buildFront(direction) {
    const front = data.times[direction][metric.value] ?? { points: [], best: [] };
    const onFront = new Set(front.best);
    const line = front.points.filter(([codec]) => onFront.has(codec));
    const traces = [{ type: "scatter", mode: "lines", x: line.map((point) => point[1]), y: line.map((point) => point[2]), hoverinfo: "skip",
      line: { color: colourOf("--strong"), width: 1.25, dash: "dot" } }];
    for (const [codec, seconds, percents] of front.points) {
      const { colour, shape } = styleOf(codec), name = plain(data.codecs[codec].name, 16), best = onFront.has(codec);
      traces.push({ type: "scatter", mode: "markers+text", x: [seconds], y: [percents], text: [name], textposition: "top center", hoverinfo: "text", cliponaxis: false,
        hovertext: [`${name}${best ? " (Pareto front)" : ""}<br>${short(1000 * seconds)} ms per megapixel<br>${percent(percents)}`],
        marker: { color: best ? colour : colourOf("--paper"), symbol: shape, size: 11, line: { color: colour, width: 2 } } });
    }
    const layout = layoutOf(axis("processor time per megapixel", { type: "log", tickangle: 0 }),
      axis("BD-rate, %", { autorange: "reversed", zeroline: true, zerolinecolor: colourOf("--strong") }));
    if (front.points.length) {
      // Room for the names above the points.
      const seconds = front.points.map((point) => Math.log10(point[1])), rates = front.points.map((point) => point[2]);
      const [wide, tall] = [Math.max(0.5, Math.max(...seconds) - Math.min(...seconds)), Math.max(5, Math.max(...rates) - Math.min(...rates))];
      layout.xaxis.range = [Math.min(...seconds) - 0.2 * wide, Math.max(...seconds) + 0.2 * wide];
      // Over more than one and a half decades, only powers of ten have room.
      const ticks = times.filter((time) => wide < 1.5 || Number.isInteger(Number(Math.log10(time).toFixed(6))));
      Object.assign(layout.xaxis, { tickvals: ticks, ticktext: ticks.map(nameTime) });
      layout.yaxis.range = [Math.max(...rates) + 0.12 * tall, Math.min(...rates) - 0.2 * tall];
      delete layout.yaxis.autorange;
    } else layout.annotations = [{ text: "No codec has both a time and a valid BD-rate.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
    return { traces, layout };
  }
  if (metric) {
    const explain = () => {
      const reasons = new Set(["encode", "decode"].flatMap((direction) => data.times[direction][metric.value]?.excluded ?? []));
      get("time-excluded").replaceChildren(...(reasons.size ? [make("p", { class: "meta", textContent: "Not in the charts:" }),
        make("ul", { class: "remarks" }, ...[...reasons].map((reason) => make("li", { textContent: reason })))] : []));
    };
    addChart(get("time-encode"), () => buildFront("encode"));
    addChart(get("time-decode"), () => buildFront("decode"));
    metric.addEventListener("change", () => { explain(); redraw(get("time-encode").closest(".pair")); });
    explain();
  }
}
