// What a page can't do by itself: follow a run, read a chart at a place, narrow a list.
// Without this script everything is still there to be read.
"use strict";

const REFRESH_MS = 3000;
const PAUSE = 10; // a page that takes long is asked for rarely: a tenth of the time at most

// A running run: fetch the page again and put in the parts that changed.
async function follow() {
  const started = performance.now();
  if (!document.hidden) {
    const fresh = await load(location.href);
    if (!fresh) return;
    replaceParts(fresh);
  }
  schedule(PAUSE * (performance.now() - started));
}

// The page at an address; null if one is signed out, or the run was deleted.
async function load(address) {
  const reply = await fetch(address, { headers: { Accept: "text/html" } });
  return reply.ok ? new DOMParser().parseFromString(await reply.text(), "text/html") : null;
}

// What was sent of each part: since then, the reader may have opened or pointed at something in it.
const sent = new Map();
for (const part of document.querySelectorAll("[id^='live-']")) sent.set(part.id, part.outerHTML);

// Put in the parts that changed; without a page, what is shown stays.
function replaceParts(fresh, ids = "live-") {
  for (const part of fresh?.querySelectorAll(`[id^='${ids}']`) ?? []) {
    const old = document.getElementById(part.id);
    const text = part.outerHTML;
    if (!old || sent.get(part.id) === text || old.contains(document.activeElement)) continue;
    sent.set(part.id, text);
    const log = old.querySelector(".console");
    const atEnd = log && log.scrollTop + log.clientHeight > log.scrollHeight - 20;
    const place = log ? log.scrollTop : 0;
    old.replaceWith(part);
    const newLog = part.querySelector(".console");
    if (newLog) newLog.scrollTop = atEnd ? newLog.scrollHeight : place;
  }
}

function schedule(pause = 0) {
  const head = document.getElementById("live-head");
  if (head && head.dataset.live === "yes") {
    const wait = Math.max(REFRESH_MS, pause);
    setTimeout(() => follow().catch(() => schedule()), wait); // the server may be back later
  }
}

// A chart: name the values of the lines at the pointer.
function readChart(event) {
  const svg = event.target.closest("svg.chart[data-x]");
  if (!svg) return;
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  const at = ((event.clientX - box.left) / box.width) * view.width;
  const near = (kind) => [...svg.querySelectorAll(kind)].map((line) => nearest(line, at));
  const found = near("polyline:not(.pale)").filter((line) => line.point);
  if (!found.length) return;
  const x = found.reduce((a, b) => (Math.abs(a.point.x - at) < Math.abs(b.point.x - at) ? a : b));
  showCursor(svg, x.point.x);
  const logged = near(".pale"); // of smoothed lines, in the same order
  const values = found.map((line, index) =>
    (found.length > 1 ? line.name + " " : "") + read(svg.dataset.y, line.point.y) +
    (logged[index] ? " (" + read(svg.dataset.y, logged[index].point.y) + ")" : ""));
  const label = svg.dataset.label === "_timestamp"
    ? new Date(invert(svg.dataset.x, x.point.x) * 1000).toLocaleString()
    : svg.dataset.label + " " + read(svg.dataset.x, x.point.x);
  readout(svg).textContent = label + ": " + values.join(", ");
}

function nearest(line, at) {
  let point = null;
  for (const other of line.points) {
    if (!point || Math.abs(other.x - at) < Math.abs(point.x - at)) point = other;
  }
  return { name: line.dataset.name, point };
}

function invert(scale, place) {
  const [low, high, start, end] = scale.split(" ").map(Number);
  return low + ((place - start) / (end - start)) * (high - low);
}

// A value with as many digits as the drawing, exact to a tenth of a unit, can tell.
function read(scale, place) {
  const exact = Math.abs(invert(scale, place + 0.1) - invert(scale, place));
  const digits = Math.floor(-Math.log10(exact));
  const value = invert(scale, place);
  return String(digits > 12 ? value : Number(value.toFixed(Math.max(digits, 0))));
}

function readout(svg) {
  let shown = svg.parentElement.querySelector(".readout");
  if (!shown) {
    shown = document.createElement("div");
    shown.className = "readout";
    svg.parentElement.append(shown);
  }
  return shown;
}

function showCursor(svg, x) {
  let cursor = svg.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    svg.append(cursor);
  }
  const view = svg.viewBox.baseVal;
  for (const [name, value] of [["x1", x], ["x2", x], ["y1", 10], ["y2", view.height - 30]]) {
    cursor.setAttribute(name, value);
  }
}

function leaveChart(event) {
  const svg = event.target.closest("svg.chart[data-x]");
  if (!svg || svg.contains(event.relatedTarget)) return;
  svg.querySelector(".cursor")?.remove();
  svg.parentElement.querySelector(".readout")?.remove();
}

// Smoothing: the charts follow the slider, with one request at a time for its latest value.
let isDrawing = false;
async function drawSmoothed(event) {
  const slider = event.target.closest(".smoothing input");
  if (!slider) return;
  slider.parentElement.querySelector("output").textContent = slider.value;
  if (isDrawing) return;
  isDrawing = true;
  try {
    for (let drawn = ""; drawn !== slider.value; ) {
      drawn = slider.value;
      replaceParts(await load(smoothed(drawn)), "live-charts");
    }
  } finally {
    isDrawing = false;
  }
}

// Where the slider is left, the address says it, and so do the links that keep the view.
async function keepSmoothing(event) {
  const slider = event.target.closest(".smoothing input");
  if (!slider) return;
  const address = smoothed(slider.value).href;
  history.replaceState(null, "", address);
  const fresh = await load(address);
  if (location.href === address) replaceParts(fresh); // else a later value is on its way
}

function smoothed(value) {
  const address = new URL(location.href);
  address.searchParams.set("smoothing", value);
  if (value === "0") address.searchParams.delete("smoothing");
  return address;
}

// A tree of settings: show what has the words in its name or value.
function narrow(event) {
  const id = event.target.dataset.narrows;
  if (!id) return;
  const words = event.target.value.toLowerCase();
  const tree = document.getElementById("tree-" + id);
  for (const row of tree.querySelectorAll("[data-name]")) {
    const text = row.dataset.name + " " + row.querySelector("dd").textContent;
    row.hidden = !text.toLowerCase().includes(words);
  }
  for (const group of tree.querySelectorAll(".group")) {
    group.hidden = !group.querySelector("[data-name]:not([hidden])");
  }
}

// An image with boxes and masks: show or hide what is of a class.
function switchLayer(event) {
  const { layer } = event.target.dataset;
  if (!layer) return;
  const parts = event.target.closest("figure").querySelectorAll(`svg [data-layer="${layer}"]`);
  for (const part of parts) part.classList.toggle("off", !event.target.checked);
}

document.addEventListener("pointermove", readChart);
document.addEventListener("pointerout", leaveChart);
document.addEventListener("input", narrow);
document.addEventListener("input", drawSmoothed);
document.addEventListener("change", keepSmoothing);
document.addEventListener("change", switchLayer);
for (const log of document.querySelectorAll(".console")) log.scrollTop = log.scrollHeight;
for (const frame of document.querySelectorAll(".lineage-frame")) {
  const start = frame.querySelector(".start")?.getBoundingClientRect();
  const box = frame.getBoundingClientRect();
  if (start) frame.scrollTo(start.left - box.left - box.width / 2, start.top - box.top - box.height / 2);
}
schedule();
