// Where codecs differ: tables by band, group and image, and a scatter of two metrics.
const cells = JSON.parse(get("cell-data").textContent);
{
  const metric = get("where-metric");
  const others = [...data.codecs.keys()].filter((codec) => data.codecs[codec].name !== data.anchor);

  function estimateCell(saving) {
    if (!saving || !saving.mean) {
      const reason = saving?.reason || "not computed";
      return make("td", {}, make("button", { type: "button", class: "reason", "data-reason": reason, textContent: "not valid" },
        make("span", { class: "hidden", textContent: `: ${reason}` })));
    }
    const [value, low, high] = saving.mean;
    const side = low === null ? "" : high < 0 ? "better" : low > 0 ? "worse" : "";
    const cell = make("td", { class: side }, make("span", { class: "value", textContent: percent(value) }));
    if (low !== null) cell.append(make("span", { class: "interval", textContent: `${percent(low).slice(0, -2)} to ${percent(high).slice(0, -2)}` }));
    cell.append(make("span", { class: "interval", textContent: `${saving.valid} of ${saving.images} images` }));
    return cell;
  }

  function estimateTable(rows, first, caption) {
    const head = make("tr", {}, make("th", { scope: "col", class: "image", textContent: first }),
      ...others.map((codec) => make("th", { scope: "col" }, make("span", { class: "codec", title: data.codecs[codec].name, textContent: data.codecs[codec].name }))));
    const body = rows.map((row) => make("tr", {}, make("th", { scope: "row", class: "image", textContent: row.name }),
      ...others.map((codec) => estimateCell(row.savings[metric.value]?.[codec]))));
    return wrap(make("table", { class: "numbers" }, make("caption", { textContent: caption }), make("thead", {}, head), make("tbody", {}, ...body)), caption);
  }

  function wrap(table, label, more = "") {
    return make("div", { class: `scroll ${more}`, tabIndex: 0, role: "region", "aria-label": label }, table);
  }

  let sorted = { column: -1, down: false };
  function imageTable() {
    const savings = data.savings[metric.value], label = metricOf.get(metric.value).label;
    const order = [...data.images.keys()];
    if (sorted.column >= 0) {
      const valueOf = (image) => savings[others[sorted.column]]?.perImage[image] ?? null;
      order.sort((a, b) => {
        const [x, y] = [valueOf(a), valueOf(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sorted.down ? y - x : x - y;
      });
    } else if (sorted.down) order.reverse();
    const heading = (text, column) => {
      const state = sorted.column !== column ? "none" : sorted.down ? "descending" : "ascending";
      const button = make("button", { type: "button", class: "sort", "data-column": String(column) }, make("span", { class: "codec", title: text, textContent: text }));
      button.style.display = "inline-flex";
      button.addEventListener("click", () => {
        sorted = { column, down: sorted.column === column && !sorted.down };
        showImages();
        get("image-table").querySelector(`[data-column="${column}"]`).focus();
      });
      return make("th", { scope: "col", class: column < 0 ? "image" : "", "aria-sort": state }, button);
    };
    const head = make("tr", {}, heading("Image", -1), ...others.map((codec, column) => heading(data.codecs[codec].name, column)));
    const body = order.map((image) => make("tr", {}, make("th", { scope: "row", class: "image", textContent: data.images[image] }),
      ...others.map((codec) => {
        const value = savings[codec]?.perImage[image] ?? null;
        return value === null ? make("td", { class: "meta", textContent: "not valid" }) : make("td", { textContent: percent(value) });
      })));
    const caption = `BD-rate of each image against ${data.anchor} by ${label}`;
    return wrap(make("table", { class: "numbers" }, make("caption", { textContent: caption }), make("thead", {}, head), make("tbody", {}, ...body)), caption, "tall-table");
  }
  function showImages() { get("image-table").replaceChildren(imageTable()); }

  function showTables() {
    const label = metricOf.get(metric.value).label;
    if (get("band-table")) {
      get("band-table").replaceChildren(estimateTable(data.bands, "Bits per pixel", `Mean BD-rate against ${data.anchor} by ${label}, by the anchor's bit rate`));
    }
    if (get("group-table")) {
      const columns = [...new Set(data.groups.map((group) => group.column))];
      get("group-table").replaceChildren(...columns.map((column) =>
        estimateTable(data.groups.filter((group) => group.column === column), column, `Mean BD-rate against ${data.anchor} by ${label}, by ${column}`)));
    }
    showImages();
  }
  metric.addEventListener("change", showTables);
  showTables();

  // The share of values that are worse than each one; ties count half.
  function sharesOf(values, better) {
    const order = [...values.keys()].sort((a, b) => (better === "higher" ? values[a] - values[b] : values[b] - values[a]));
    const shares = new Array(values.length);
    for (let start = 0; start < order.length;) {
      let end = start;
      while (end + 1 < order.length && values[order[end + 1]] === values[order[start]]) end += 1;
      for (let i = start; i <= end; i += 1) shares[order[i]] = (start + end) / 2 / Math.max(1, order.length - 1);
      start = end + 1;
    }
    return shares;
  }

  // The strongest disagreements are marked: this share of the points, if the ranks differ by more than the least difference.
  const [MARKED, LEAST] = [0.02, 0.1];
  const [across, up] = [get("scatter-x"), get("scatter-y")];
  const first = data.metrics[0].base;
  up.selectedIndex = Math.max(data.metrics.length > 1 ? 1 : 0, data.metrics.findIndex((each) => each.base !== first && !each.roi));
  function buildScatter() {
    const points = cells.points, [x, y] = [points[across.value], points[up.value]];
    const [aboutX, aboutY] = [metricOf.get(across.value), metricOf.get(up.value)];
    const kept = [...points.codec.keys()].filter((i) => x[i] !== null && y[i] !== null);
    const [sharesX, sharesY] = [sharesOf(kept.map((i) => x[i]), aboutX.better), sharesOf(kept.map((i) => y[i]), aboutY.better)];
    const describe = (i) => `${plain(cells.codecs[points.codec[i]])}, ${plain(points.point[i] ?? "")}<br>${plain(cells.images[points.image[i]], 48)}<br>` +
      `${plain(aboutX.label)} ${short(x[i])}, ${plain(aboutY.label)} ${short(y[i])}`;
    const traces = data.codecs.map((codec, number) => {
      const mine = kept.filter((i) => cells.codecs[points.codec[i]] === codec.name), { colour, shape } = styleOf(number);
      return { type: "scatter", mode: "markers", name: plain(codec.name), x: mine.map((i) => x[i]), y: mine.map((i) => y[i]), text: mine.map(describe), hoverinfo: "text",
        marker: { color: colour, symbol: shape, size: 5, opacity: 0.55 } };
    });
    const gaps = kept.map((_, place) => Math.abs(sharesX[place] - sharesY[place]));
    const limit = Math.max(LEAST, [...gaps].sort((a, b) => b - a)[Math.ceil(MARKED * gaps.length)] ?? 0);
    const odd = kept.filter((_, place) => gaps[place] > limit);
    traces.push({ type: "scatter", mode: "markers", name: "disagreement", x: odd.map((i) => x[i]), y: odd.map((i) => y[i]), text: odd.map(describe), hoverinfo: "text",
      marker: { symbol: "diamond-open", size: 12, color: colourOf("--ink"), line: { width: 1.5 } } });
    get("scatter-text").textContent = `${cells.pointNote} ${odd.length} ${odd.length === 1 ? "is" : "are"} marked, where the two differ by ${Math.round(100 * limit)} percentage points or more.`;
    const reversed = (about) => (about.better === "lower" ? { autorange: "reversed" } : {});
    return { traces, layout: layoutOf(axis(plain(aboutX.label), reversed(aboutX)), axis(plain(aboutY.label), reversed(aboutY))) };
  }
  const chart = get("scatter-chart");
  for (const select of [across, up]) select.addEventListener("change", () => redraw(chart.parentElement));
  addChart(chart, buildScatter);
}
