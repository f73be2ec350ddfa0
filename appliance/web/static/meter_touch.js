// Fingers on a meter's charts: one moves them, two zoom; up and down still scrolls the page. The charts follow the
// fingers; what comes into sight is asked for once they are off.
"use strict";
const MeterTouch = (over, { inView, follow, settle }) => {
  const LEAST_PX = 12; // less is no move
  const CLOSEST_PX = 20; // two fingers are hardly closer
  const down = new Map();
  let begun = null;
  const fingers = () => [...down.values()].sort((a, b) => a - b);
  const middle = (edges) => edges.reduce((sum, edge) => sum + edge, 0) / edges.length;

  // Which time comes where another was, by how far the fingers went; null where they went nowhere.
  const moved = () => {
    const { from, to, edges } = begun;
    const here = fingers();
    if (here.length !== edges.length || here.length > 2) return null;
    const { left, width } = over.getBoundingClientRect();
    const share = (px) => (px - left) / width;
    if (here.every((px, n) => Math.abs(px - edges[n]) <= LEAST_PX)) return null;
    const factor = here.length === 1 ? 1 : (edges[1] - edges[0]) / Math.max(CLOSEST_PX, here[1] - here[0]);
    const span = to - from;
    const begins = from + share(middle(edges)) * span - share(middle(here)) * span * factor;
    return (ms) => begins + (ms - from) * factor;
  };

  // As often as a finger comes or goes it begins anew from what is shown then.
  const begin = () => {
    begun = down.size ? { ...inView(), edges: fingers() } : null;
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    down.set(event.pointerId, event.clientX);
    begin();
  });
  over.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    down.set(event.pointerId, event.clientX);
    const map = begun && moved();
    if (map) follow(map);
  });
  const up = (event) => {
    if (!down.has(event.pointerId)) return;
    if (begun) settle(event.type === "pointerup" ? moved() : null);
    down.delete(event.pointerId);
    begun = null;
  };
  over.addEventListener("pointerup", up);
  over.addEventListener("pointercancel", up);
};
