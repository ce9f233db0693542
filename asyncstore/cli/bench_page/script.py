"""The script of the page: it draws the plots, and draws them anew for another colour scheme, width or for paper.

The buttons of a plot are named one by one: plotly has one that sends the data of a plot to a server.
"""

from __future__ import annotations

SCRIPT = """
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("plots").textContent);
  const isDark = matchMedia("(prefers-color-scheme: dark)");
  const NARROW = 560, LETTER = 6.4, PAPER = 660;
  let isPrinting = false;
  const seen = new Map();

  const coloured = (value, name) => {
    if (Array.isArray(value)) return value.map((item) => coloured(item, name));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, key)]));
    const isColour = typeof value === "string" && name.toLowerCase().endsWith("color");
    return isColour && isDark.matches && !isPrinting ? page.dark[value] ?? value : value;
  };

  const thinned = (axis, width) => {
    const [low, high] = axis.range, isLog = axis.type === "log";
    let free = Infinity;
    const kept = axis.tickvals.map((value, place) => {
      const text = axis.ticktext[place].replace(/&[a-z]+;/g, "x");
      return {value, text: axis.ticktext[place], half: (text.length * LETTER) / 2,
        at: ((isLog ? Math.log10(value) : value) - low) / (high - low) * (width - 80)};
    }).reverse().filter(({at, half}) => {
      if (at < -1 || at > width || at + half + 4 > free) return false;
      free = at - half;
      return true;
    });
    axis.tickvals = kept.map(({value}) => value);
    axis.ticktext = kept.map(({text}) => text);
    axis.tickangle = 0;
  };

  const themed = (layout, width) => {
    const [ink, dim, line, paper] = page.colours.map((colour) => coloured(colour, "color"));
    const isNarrow = width < NARROW;
    const look = (axis) => ({
      gridcolor: line, linecolor: line, zeroline: false, tickfont: {color: dim}, ...axis,
      title: {...axis.title, font: {color: dim, size: 12}, standoff: 8},
    });
    const shown = {
      paper_bgcolor: paper, plot_bgcolor: "rgba(0,0,0,0)", width,
      font: {family: getComputedStyle(document.body).fontFamily, size: isNarrow ? 11 : 12, color: ink},
      margin: {l: 8, r: isNarrow ? 8 : 16, t: 28, b: 8}, hovermode: "closest", separators: ". ",
      dragmode: isNarrow ? false : "zoom",
      hoverlabel: {bgcolor: paper, bordercolor: line, font: {color: ink}, align: "left"},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: dim, activecolor: ink},
      ...layout,
      legend: {orientation: "h", yanchor: "bottom", y: 1.02, x: 0, xanchor: "left", ...layout.legend},
    };
    for (const key of Object.keys(shown)) if (/^[xy]axis/.test(key)) shown[key] = look(shown[key]);
    const range = shown.xaxis?.range;
    for (const shape of shown.shapes ?? []) {
      if (shape.type !== "rect" || !range) continue;
      const room = (shape.x1 - shape.x0) / (range[1] - range[0]) * (width - 80);
      const text = shape.label.text.replace(/<[^>]*>/g, "");
      if (text.length * LETTER + 8 > room) shape.label.text = "";
    }
    if (shown.xaxis?.tickvals && range) thinned(shown.xaxis, width);
    return shown;
  };

  const draw = (plot) => {
    const place = document.getElementById(plot.name);
    const width = isPrinting ? PAPER : place.clientWidth;
    seen.set(place, width);
    const layout = themed(coloured(structuredClone(plot.layout), ""), width);
    const options = {displaylogo: false, showTips: false, displayModeBar: width < NARROW ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: {filename: plot.name}};
    Plotly.react(place, coloured(structuredClone(plot.traces), ""), layout, options);
  };
  const drawAll = () => page.plots.forEach(draw);

  drawAll();
  isDark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => {
    isPrinting = true;
    for (const details of document.querySelectorAll("details")) details.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => { isPrinting = false; drawAll(); });
  const resized = new ResizeObserver((entries) => {
    if (!isPrinting)
      for (const {target} of entries)
        if (target.clientWidth && seen.get(target) !== target.clientWidth)
          draw(page.plots.find((plot) => plot.name === target.id));
  });
  page.plots.forEach((plot) => resized.observe(document.getElementById(plot.name)));
})();
"""
