// Draws a meter's charts and keeps its facts live. The server chooses the step and counts; this draws, and asks for
// another span of time when somebody zooms or moves.
"use strict";
{
  const facts = document.getElementById("facts");
  Page.listen((at) => `${facts.dataset.events}&cursor=${encodeURIComponent(at)}`, facts.dataset.cursor, (told) => {
    if (told.facts === null) return;
    const fresh = facts.cloneNode(false);
    fresh.append(Page.parse(told.facts));
    Page.morph(facts, fresh);
  });

  // A note that was not sent is there again after the browser's Back: not behind what is folded.
  window.addEventListener("pageshow", () => {
    const note = document.getElementById("text");
    const fold = note && note.closest("details");
    if (fold && note.value) fold.open = true;
  });
}
{
  const HOUR = 3600000;
  const DAY = 24 * HOUR;
  const SHORTEST = HOUR;
  // A step that is chosen shows so much; where less is chosen afterwards, the step is no longer kept.
  const STEPS = { quarter: { shown: 0, least: 0 }, day: { shown: 14 * DAY, least: 2 * DAY }, month: { shown: 366 * DAY, least: 62 * DAY } };
  const BAR = 0.86; // of a step
  const RIGHT = 34; // beside each chart as much room as the axis of levels takes, so that all begin and end alike
  const FOLLOW_MS = 60000;
  const box = document.getElementById("charts");
  const readout = document.getElementById("readout");
  const { chart: address } = box.dataset;
  const multiplier = Number(box.dataset.multiplier);
  const { number, quantity, tick, hours, dayMonth, monthYear, instant, inFull } = MeterWords(box.dataset);
  const first = Number(box.dataset.first);
  const now = () => Date.now() - aheadMs;
  const aheadMs = Date.now() - Number(document.getElementById("connection").dataset.now);
  let shown = { from: now() - DAY, to: now(), step: "" };
  let told = null;
  let inView = null; // whole steps, and nothing that is still to come
  let drawn = null; // the same, or where fingers hold it
  let charts = [];
  let left = 58;
  let asked = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const font = "12px system-ui, sans-serif";

  const times = (u, splits, axis, space, step) => splits.map((s, i) => {
    const at = new Date(s * 1000);
    if (step >= 28 * 86400) return monthYear.format(at);
    if (step >= 86400) return dayMonth.format(at);
    const before = i ? dayMonth.format(new Date(splits[i - 1] * 1000)) : "";
    const day = dayMonth.format(at);
    return day === before ? hours.format(at) : `${hours.format(at)}\n${day}`;
  });

  // Grey where nothing is known, and a mark where the register broke.
  const marks = (unknown, broken) => (u) => {
    const { ctx, bbox } = u;
    const x = (ms) => Math.round(u.valToPos(ms / 1000, "x", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("--rail");
    for (let i = 0; i < told.begin.length; i++) {
      if (!unknown(i)) continue;
      let last = i;
      while (last + 1 < told.begin.length && unknown(last + 1)) last++;
      ctx.fillRect(x(told.begin[i]), bbox.top, x(told.end[last]) - x(told.begin[i]), bbox.height);
      i = last;
    }
    ctx.strokeStyle = colour("--alarm");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const { place } of broken ? told.breaks : []) {
      ctx.beginPath();
      ctx.moveTo(x(told.begin[place]), bbox.top);
      ctx.lineTo(x(told.begin[place]), bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };

  const between = ({ from, to }) => `${instant(from)} – ${instant(to)}`;
  const say = (place) => {
    if (place === null || place === undefined || !told || place >= told.begin.length) {
      readout.textContent = between(shown);
      return;
    }
    const { used, register, messages, level_db: level } = told;
    const about = told.unsure.includes(place) ? "≈ " : "";
    const parts = [about + inFull[told.step](told.begin[place])];
    parts.push(`${box.dataset.used} ${used[place] === null ? box.dataset.unknown : quantity(used[place])}`);
    const silent = told.since.find((one) => one.place === place);
    if (silent) parts.push(`${box.dataset.since} ${instant(silent.ms)}`);
    if (register[place] !== null) {
      const raw = multiplier === 1 ? "" : ` (${number(register[place], 0)})`;
      parts.push(`${box.dataset.register} ${quantity(register[place])}${raw}`);
    }
    if (messages[place] !== null) parts.push(`${box.dataset.messages} ${number(messages[place], 0)}`);
    else if (told.not_kept.includes(place)) parts.push(box.dataset.notKept);
    if (level[place] !== null) parts.push(`${number(level[place], 1)} dB`);
    for (const broke of told.breaks) if (broke.place === place) parts.push(...broke.kinds.map((kind) => box.dataset[kind]));
    readout.textContent = parts.join(" · ");
  };

  // As wide as the shortest step, whatever of them is known: a single one has no neighbour to go by.
  const bars = uPlot.paths.bars({
    align: 1,
    disp: {
      x0: { unit: 1, values: (u) => u.data[0] },
      size: { unit: 1, values: () => [(BAR * Math.min(...told.begin.map((ms, i) => told.end[i] - ms))) / 1000] },
    },
  });
  const chart = (id, height, xs, series, axes, scales, draw) => {
    const place = document.getElementById(id);
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font };
    const options = {
      width: place.clientWidth,
      height,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), Zone.name),
      legend: { show: false },
      padding: [8, axes.length > 1 ? 0 : RIGHT, 0, 0],
      cursor: { sync: { key: "meter", scales: ["x", null] }, drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false, bind: { dblclick: () => () => zoom(3) } },
      select: { show: true },
      scales: { x: { time: true, range: () => [drawn.from / 1000, drawn.to / 1000] }, ...scales },
      series: [{}, ...series.map(({ data, ...own }) => own)],
      axes: [{ ...axis, values: times, space: 64, size: 42 }, ...axes.map((own) => ({ ...axis, size: left, values: (u, splits) => splits.map(tick), ...own }))],
      hooks: {
        drawClear: [draw],
        setSelect: [(u) => {
          if (u.select.width < 8) return;
          const [from, to] = [u.select.left, u.select.left + u.select.width].map((px) => u.posToVal(px, "x") * 1000);
          u.setSelect({ width: 0, height: 0 }, false);
          if (u.cursor.event) show({ from, to });
        }],
        setCursor: [(u) => u.cursor.left >= 0 ? say(at(u)) : say(null)],
      },
    };
    const made = new uPlot(options, [xs, ...series.map((one) => one.data)], place);
    MeterTouch(made.over, { inView: () => inView, follow, settle });
    return made;
  };

  // The step that the pointer is over.
  const at = (u) => {
    const ms = u.posToVal(u.cursor.left, "x") * 1000;
    let low = 0;
    let high = told.begin.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (told.begin[middle] <= ms) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  const draw = () => {
    charts.forEach((one) => one.destroy());
    charts = [];
    const until = Math.max(told.to, Math.min(told.end.at(-1) ?? told.to, now()));
    drawn = inView = { from: Math.min(told.from, told.begin[0] ?? told.from), to: until };
    const begin = told.begin.map((ms) => ms / 1000);
    // The register of the running step is that of now.
    const end = told.end.map((ms) => Math.min(ms, until) / 1000);
    const scaled = (values) => values.map((counts) => (counts === null ? null : counts * multiplier));
    const unheard = (i) => told.messages[i] === 0;
    // What was used while the meter was not heard is drawn as its mean over that time, and paler.
    const known = scaled(told.used);
    const mean = known.map(() => null);
    for (const { place, ms } of told.since) {
      const begins = told.begin.indexOf(ms);
      mean.fill(known[place] / (place - begins + 1), begins, place + 1);
      known[place] = null;
    }
    const widest = Math.max(...told.register.map((counts) => tick((counts ?? 0) * multiplier).length));
    left = 18 + 7 * Math.max(4, widest);
    charts.push(chart("chart-used", 190, begin,
      [
        { data: known, paths: bars, fill: () => colour("--accent"), points: { show: false } },
        { data: mean, paths: bars, fill: () => `${colour("--accent")}80`, points: { show: false } },
      ],
      [{}], { y: { range: (u, low, high) => [Math.min(0, low ?? 0), (high > 0 ? high : 1) * 1.06] } }, marks((i) => told.used[i] === null || unheard(i), true)));
    charts.push(chart("chart-register", 150, end,
      [{ data: scaled(told.register), stroke: () => colour("--accent"), width: 2, points: { show: false }, spanGaps: false }],
      [{}], { y: { range: (u, low, high) => (low === null ? [0, 1] : uPlot.rangeNum(low, high, 0.1, false)) } }, marks((i) => told.register[i] === null || unheard(i), true)));
    charts.push(chart("chart-heard", 140, begin,
      [
        { data: told.messages, paths: bars, fill: () => colour("--unknown"), points: { show: false } },
        { data: told.level_db, scale: "level", stroke: () => colour("--good"), width: 2, points: { show: false }, spanGaps: false },
      ],
      [{}, { scale: "level", side: 1, grid: { show: false }, size: RIGHT }],
      { y: { range: (u, low, high) => [0, Math.max(1, high ?? 1) * 1.06] }, level: { range: [0, 40] } },
      marks((i) => told.messages[i] === null || unheard(i), false)));
    say(null);
  };

  const press = () => {
    for (const button of box.querySelectorAll("[data-step]")) {
      button.setAttribute("aria-pressed", String(button.dataset.step === shown.step));
    }
    const span = shown.to - shown.from;
    for (const button of box.querySelectorAll("[data-hours]")) {
      const wanted = button.dataset.hours === "all" ? now() - first : Number(button.dataset.hours) * HOUR;
      button.setAttribute("aria-pressed", String(Math.abs(span - wanted) < 0.01 * wanted && now() - shown.to < HOUR));
    }
  };

  // As much as can be shown, and not beyond now.
  const within = ({ from, to }) => {
    const span = Math.max(SHORTEST, to - from);
    const last = Math.min(to, now());
    return { from: Math.round(last - span), to: Math.round(last) };
  };

  const show = async (change) => {
    const wanted = { ...shown, ...change };
    if (change.step) wanted.from = Math.min(wanted.from, wanted.to - STEPS[change.step].shown);
    else if (wanted.step && wanted.to - wanted.from < STEPS[wanted.step].least) wanted.step = "";
    shown = { ...within(wanted), step: wanted.step };
    const query = new URLSearchParams({ from: Math.max(0, shown.from), to: shown.to });
    if (shown.step) query.set("step", shown.step);
    const turn = ++asked;
    let fresh;
    try {
      const answer = await fetch(`${address}?${query}`);
      if (answer.status === 401) {
        location.reload(); // logged out meanwhile
        return;
      }
      if (!answer.ok) throw new Error(answer.status);
      fresh = await answer.json();
    } catch {
      if (turn === asked) readout.textContent = box.dataset.trouble;
      return;
    }
    if (turn !== asked) return;
    told = fresh;
    shown = { ...shown, from: told.from, to: told.to };
    press();
    draw();
    history.replaceState(null, "", `#from=${shown.from}&to=${shown.to}${shown.step && `&step=${shown.step}`}`);
    query.set("from", told.from);
    for (const kind of ["csv", "json"]) {
      const link = document.getElementById(`file-${kind}`);
      const to = new URL(link.href);
      to.searchParams.delete("step");
      for (const [name, value] of query) to.searchParams.set(name, value);
      link.href = to;
    }
    box.dataset.drawn = turn;
  };

  const zoom = (factor) => {
    const middle = (shown.from + shown.to) / 2;
    const half = ((shown.to - shown.from) * factor) / 2;
    show({ from: middle - half, to: middle + half });
  };

  // While fingers move: what is drawn, elsewhere.
  const place = (span) => {
    drawn = span;
    charts.forEach((one) => one.setScale("x", { min: span.from / 1000, max: span.to / 1000 }));
  };
  const follow = (map) => {
    place(within({ from: map(inView.from), to: map(inView.to) }));
    readout.textContent = between(within({ from: map(shown.from), to: map(shown.to) }));
  };
  const settle = (map) => {
    if (map) show({ from: map(shown.from), to: map(shown.to) });
    else place(inView);
  };

  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { hours: back, step, move, zoom: factor } = button.dataset;
    const span = shown.to - shown.from;
    if (back !== undefined) show({ from: back === "all" ? first : now() - Number(back) * HOUR, to: now() });
    if (step !== undefined) show({ step });
    if (move !== undefined) show({ from: shown.from + span * Number(move), to: shown.to + span * Number(move) });
    if (factor !== undefined) zoom(Number(factor));
  });

  let resizing = 0;
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth === width || !told) return;
    width = box.clientWidth;
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(draw);
  }).observe(box);
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
    matchMedia(query).addEventListener("change", () => told && charts.forEach((one) => one.redraw(false)));
  }

  // What reaches up to now goes on with it.
  setInterval(() => {
    if (document.visibilityState !== "visible" || box.matches(":hover") || now() - shown.to > 2 * FOLLOW_MS) return;
    show({ from: now() - (shown.to - shown.from), to: now() });
  }, FOLLOW_MS);

  const kept = new URLSearchParams(location.hash.slice(1));
  const [from, to] = ["from", "to"].map((name) => Number(kept.get(name)));
  const step = kept.get("step");
  // Anybody may have written the address.
  if (to > from && Number.isFinite(to - from)) shown = { from, to, step: Object.hasOwn(STEPS, step) ? step : "" };
  box.hidden = false;
  show({});
}
