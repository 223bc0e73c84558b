// The table of cells: DataTables sorts and pages it; the filters and the CSV file are the page's own.
{
  const table = get("cell-table"), form = get("cell-filters"), rows = cells.rows, count = rows.codec.length;
  const NAMES = ["image", "codec", "point", ...cells.columns, "error_kind", "error"];
  const valueOf = (row, name) => (name === "image" ? cells.images[rows.image[row]] : name === "codec" ? cells.codecs[rows.codec[row]] : rows[name][row]);
  get("cell-note").textContent = cells.rowNote;
  cells.codecs.forEach((name, number) => get("cell-codec").append(option(String(number), name)));
  for (const name of cells.columns) get("cell-column").append(option(name, name));

  function isShown(row) {
    const codec = get("cell-codec").value, state = get("cell-state").value, text = get("cell-text").value.trim().toLowerCase();
    if (codec !== "" && rows.codec[row] !== Number(codec)) return false;
    if (state !== "" && (rows.error_kind[row] === null && rows.error[row] === null) !== (state === "scored")) return false;
    if (text && !`${cells.images[rows.image[row]]} ${rows.error[row] ?? ""}`.toLowerCase().includes(text)) return false;
    const [low, high, value] = [get("cell-low").value, get("cell-high").value, rows[get("cell-column").value][row]];
    if (low !== "" && !(value !== null && value >= Number(low))) return false;
    return high === "" || (value !== null && value <= Number(high));
  }

  // RFC 4180: texts with commas, quotes or line ends are quoted.
  const quote = (value) => (value === null || value === undefined ? "" : /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

  async function start() {
    const bytes = Uint8Array.from(atob(get("datatables").textContent.trim()), (character) => character.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));
    const { ITable, jQuery } = await import(url);
    URL.revokeObjectURL(url);
    const DataTable = jQuery.fn.DataTable;
    const asText = DataTable.render.text();
    const columns = NAMES.map((name) => ({
      title: name, data: (row, kind) => (kind === "set" ? undefined : valueOf(row.number, name)),
      className: cells.columns.includes(name) ? "" : name === "error" || name === "image" ? "long text" : "text",
      render: cells.columns.includes(name) ? (value, kind) => (kind === "display" ? short(value) : value) : asText,
    }));
    const built = jQuery(table).DataTable({
      data: Array.from({ length: count }, (_, number) => ({ number })), columns, order: [], pageLength: 25, autoWidth: false, deferRender: true,
      layout: { topStart: null, topEnd: null, bottomStart: "pageLength", bottomEnd: "paging" },
      language: { emptyTable: "The sweep has no cells.", zeroRecords: "No cell passes the filters." },
    });
    built.search.fixed("page", (_text, row) => isShown(row.number));
    const say = () => { get("cell-count").textContent = `${built.rows({ search: "applied" }).count().toLocaleString("en")} of ${count.toLocaleString("en")} cells pass the filters.`; };
    const filter = () => { built.draw(); say(); };
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    get("cell-csv").addEventListener("click", () => {
      const lines = [NAMES, ...built.rows({ search: "applied", order: "applied" }).data().toArray().map((row) => NAMES.map((name) => valueOf(row.number, name)))];
      const file = new Blob([lines.map((line) => line.map(quote).join(",") + "\r\n").join("")], { type: "text/csv" });
      const link = make("a", { href: URL.createObjectURL(file), download: "cells.csv" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href));
    });
    get("cell-csv").disabled = false;
    filter();
    table.dataset.ready = "true";
  }
  new IntersectionObserver((entries, self) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    self.disconnect();
    start();
  }, { rootMargin: "400px" }).observe(form);
}
