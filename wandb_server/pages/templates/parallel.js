// Parallel coordinates: a range on an axis, drawn with the pointer or set with the sliders
// below the chart, keeps the lines that pass through it and fades the others.
"use strict";

const REACH = 26; // units of the drawing around an axis that count as being on it
const CLICK = 4; // a shorter way isn't a range

class Ranges {
  constructor(frame) {
    this.svg = frame.querySelector("svg.parallel");
    this.form = document.getElementById(frame.dataset.ranges);
    this.rows = [...this.form.querySelectorAll("[data-place]")];
    this.lines = [...this.svg.querySelectorAll("polyline")].map((line) => ({
      link: line.closest("a"),
      heights: [...line.points].map((point) => Number(this.svg.dataset.floor) - point.y),
    }));
    this.form.hidden = false;
    this.form.addEventListener("input", (event) => this.straighten(event.target));
    this.form.addEventListener("reset", () => setTimeout(() => this.apply()));
    this.svg.addEventListener("pointerdown", (event) => this.begin(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", () => this.end());
    this.svg.addEventListener("pointercancel", () => this.end());
    this.svg.addEventListener("dragstart", (event) => event.preventDefault());
    this.svg.addEventListener("click", (event) => this.wasDragged && event.preventDefault());
    this.form.reset(); // a browser that comes back to a page fills in what was there
  }

  // The ends of a range: the lower one never above the upper one.
  straighten(moved) {
    const [low, high] = moved.closest("[data-place]").querySelectorAll("input");
    if (Number(low.value) > Number(high.value)) {
      if (moved === low) high.value = low.value;
      else low.value = high.value;
    }
    this.apply();
  }

  apply() {
    const ends = this.rows.map((row) => [...row.querySelectorAll("input")].map((input) => Number(input.value)));
    const kept = this.lines.filter((line) => {
      const isIn = line.heights.every((height, at) => height >= ends[at][0] - 0.5 && height <= ends[at][1] + 0.5);
      line.link.classList.toggle("out", !isIn);
      if (isIn) line.link.removeAttribute("tabindex");
      else line.link.setAttribute("tabindex", "-1");
      return isIn;
    });
    this.rows.forEach((row, at) => this.show(row, ends[at]));
    this.form.querySelector("output").textContent = kept.length + " of " + this.lines.length + " runs";
    this.lead(kept);
  }

  // Say what a row's sliders mean, and mark the range on its axis.
  show(row, ends) {
    const top = Number(row.querySelector("input").max);
    for (const [at, input] of row.querySelectorAll("input").entries()) {
      input.setAttribute("aria-valuetext", meaning(row, ends[at] / top));
    }
    const isWhole = ends[0] <= 0 && ends[1] >= top;
    row.querySelector(".meaning").textContent = isWhole ? "all" : ends.map((end) => meaning(row, end / top)).join(" to ");
    const mark = this.svg.querySelector('.range[data-at="' + row.dataset.place + '"]');
    mark.setAttribute("y", Number(this.svg.dataset.floor) - ends[1] - 2);
    mark.setAttribute("height", isWhole ? 0 : ends[1] - ends[0] + 4);
  }

  // Where the runs in the ranges are compared among themselves.
  lead(kept) {
    const link = this.form.querySelector("a");
    this.base ??= link.getAttribute("href");
    const url = new URL(this.base, location.href);
    for (const name of ["run", "filter", "sort", "group", "page"]) url.searchParams.delete(name);
    for (const line of kept) {
      const path = line.link.getAttribute("href");
      url.searchParams.append("run", decodeURIComponent(path.slice(path.lastIndexOf("/") + 1)));
    }
    link.href = url.pathname + url.search;
    link.hidden = kept.length < 2 || kept.length === this.lines.length;
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    const view = this.svg.viewBox.baseVal;
    return {
      x: ((event.clientX - box.left) / box.width) * view.width,
      height: Number(this.svg.dataset.floor) - ((event.clientY - box.top) / box.height) * view.height,
    };
  }

  begin(event) {
    const { x, height } = this.place(event);
    this.wasDragged = false;
    const row = this.rows.find((row) => Math.abs(Number(row.dataset.place) - x) < REACH);
    if (row && event.isPrimary && event.button === 0) this.drag = { row, from: height };
  }

  move(event) {
    if (!this.drag) return;
    const { height } = this.place(event);
    if (!this.wasDragged && Math.abs(height - this.drag.from) < CLICK) return;
    if (!this.wasDragged) this.svg.setPointerCapture(event.pointerId);
    this.wasDragged = true;
    const [low, high] = this.drag.row.querySelectorAll("input");
    low.value = Math.min(height, this.drag.from);
    high.value = Math.max(height, this.drag.from);
    this.apply();
  }

  end() {
    this.drag = null;
  }
}

// What a share of an axis stands for: a number between its ends, or the nearest of its words.
function meaning(row, share) {
  const words = JSON.parse(row.dataset.words);
  if (words.length) return words[Math.round(share * (words.length - 1))];
  const [low, high] = [Number(row.dataset.low), Number(row.dataset.high)];
  const value = row.dataset.log === "yes" ? low * (high / low) ** share : low + share * (high - low);
  return String(Number(value.toPrecision(4)));
}

for (const frame of document.querySelectorAll("[data-ranges]")) new Ranges(frame);
