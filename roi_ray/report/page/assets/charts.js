"use strict";
// What all charts share: data, colours, shapes, and drawing when a chart comes into view.
const data = JSON.parse(document.getElementById("page-data").textContent);
const metricOf = new Map(data.metrics.map((metric) => [metric.name, metric]));
const get = (id) => document.getElementById(id);

// Okabe and Ito's colours, darker on white and lighter on black so that lines have enough contrast.
const COLOURS = {
  light: ["#0072b2", "#c24e00", "#007a5a", "#a83c80", "#946500", "#3385bd", "#4d4d4d", "#7556bb"],
  dark: ["#55aee6", "#ff8f52", "#35cc9f", "#eba0cc", "#f0c04a", "#9bd7ff", "#cfcfcf", "#bda8f7"],
};
const SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "star"];
const DASHES = ["solid", "dash", "dot", "dashdot"];

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}

// Colour and shape tell the first eight codecs apart; dashes and other pairs the next ones.
function styleOf(codec) {
  const number = data.codecs[codec].style, round = Math.floor(number / 8);
  return {
    colour: COLOURS[isDark() ? "dark" : "light"][number % 8],
    shape: SHAPES[(number + round) % 8],
    dash: DASHES[round % 4],
  };
}

// Plotly reads tags and entities in texts.
function plain(text, limit = 28) {
  const characters = Array.from(String(text));
  const short = characters.length > limit ? characters.slice(0, limit - 1).join("") + "…" : String(text);
  return short.replace(/[\u0000-\u001f]/g, " ").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(title, more) {
  return {
    title: { text: title, standoff: 8 }, gridcolor: colourOf("--line"), linecolor: colourOf("--strong"), zeroline: false,
    automargin: true, ticks: "outside", tickcolor: colourOf("--strong"), ticklen: 4, showline: true, ...more,
  };
}

function layoutOf(xaxis, yaxis, more) {
  return {
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", showlegend: false, xaxis, yaxis,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colourOf("--ink") },
    margin: { l: 56, r: 12, t: 28, b: 44 }, hovermode: "closest", dragmode: false,
    hoverlabel: { bgcolor: colourOf("--paper"), bordercolor: colourOf("--strong"), font: { color: colourOf("--ink") }, align: "left" },
    ...more,
  };
}

const BITS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
function rateAxis() {
  return axis("bits per pixel", { type: "log", tickvals: BITS, ticktext: BITS.map(String), minor: { ticks: "" } });
}

// Charts are drawn when they are first near the window, and again, once visible, after `redraw`.
const charts = [];
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.find((candidate) => candidate.element === entry.target);
    chart.visible = entry.isIntersecting;
    if (chart.visible) drawIfNeeded(chart);
  }
}, { rootMargin: "200px" });

// Plotly takes longer to start than the rest of the page: it waits for the first chart in view, or until the page is idle.
function startPlotly() {
  const source = get("plotly");
  if (!source) return;
  source.remove();
  document.head.append(make("script", { textContent: source.textContent }));
}
addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(startPlotly));

function drawIfNeeded(chart) {
  if (chart.drawn) return;
  startPlotly();
  chart.drawn = true;
  const { traces, layout } = chart.build();
  Plotly.react(chart.element, traces, layout, { displaylogo: false, displayModeBar: false, responsive: true });
}

function addChart(element, build) {
  if (!element) return;
  charts.push({ element, build, drawn: false, visible: false });
  observer.observe(element);
}

addEventListener("beforeprint", () => charts.forEach(drawIfNeeded));

function redraw(inside = document) {
  for (const chart of charts) {
    if (inside !== document && !inside.contains(chart.element)) continue;
    chart.drawn = false;
    if (chart.visible) drawIfNeeded(chart);
  }
}

// A small element builder: texts are set as text, never as HTML.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name in element && name !== "scope") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function option(value, text) {
  return make("option", { value, textContent: text.length > 70 ? text.slice(0, 69) + "…" : text });
}

const percent = (value) => {
  const digits = Math.abs(value) < 99.95 ? 1 : 0, text = Math.abs(value).toFixed(digits);
  return (Number(text) === 0 ? "" : value > 0 ? "+" : "−") + text + "\u202f%";
};
const short = (value) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(4))));
