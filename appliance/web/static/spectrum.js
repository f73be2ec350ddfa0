// Spectrum and waterfall on one canvas: power by frequency above, and below it what came in before, the newest on top.
// Levels arrive as a byte a bin, as radio_frames.py says. Bursts are marked where and when they were.
"use strict";
const Spectrum = (canvas) => {
  const LOWEST_DBFS = -120;
  const STEPS_PER_DB = 2;
  const ROWS = 220;
  const ROW_PX = 2;
  const SLOW_S = 1; // a frame, for who wants less motion
  const GAP_MS = 3000; // after which what came before is no longer what came just before
  const LEFT = 42, RIGHT = 10, TOP = 10, AXIS = 24;
  // From nothing to strong: dark ground shines brighter, light ground gets darker, as paper does.
  const SHADES = {
    dark: ["#0f1918", "#123a4d", "#1c7f83", "#7cc46a", "#f3c847", "#fff8e2"],
    light: ["#ffffff", "#cfe7e4", "#58b0ab", "#0c6a86", "#402a7c", "#16031f"],
  };
  const DARK = matchMedia("(prefers-color-scheme: dark)");
  const CALM = matchMedia("(prefers-reduced-motion: reduce)");
  const language = document.documentElement.lang;
  const written = (digits) => {
    const format = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (value) => format.format(value).replace("-", "−");
  };
  const whole = written(0), tenths = written(1), hundredths = written(2), thousandths = written(3);

  const brush = canvas.getContext("2d");
  const past = document.createElement("canvas"); // a pixel for each bin and frame
  past.height = ROWS;
  let rows = []; // what is in it, the newest first, to be coloured anew
  let marks = [];
  let latest = null;
  let pending = null;
  let pushedAt = 0;
  let drawn = 0; // frames so far: the time of the waterfall
  let pointer = null;
  let asked = false;
  let palette = null;

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const dbfs = (step) => LOWEST_DBFS + step / STEPS_PER_DB;

  const paint = () => {
    const stops = SHADES[DARK.matches ? "dark" : "light"].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    palette = Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (stops.length - 1);
      const lower = Math.min(stops.length - 2, Math.floor(place));
      return stops[lower].map((value, c) => value + (stops[lower + 1][c] - value) * (place - lower));
    });
  };

  // The noise of a millisecond at its most lies some 6 dB above the floor: that is the ground.
  const floor = () => (latest.floor === null ? Math.min(...latest.mean.map(dbfs)) : latest.floor);
  const shade = (step) => Math.max(0, Math.min(255, Math.round(((dbfs(step) - floor() - 6) / 42) * 255)));

  const colour = (row, y) => {
    const image = new ImageData(row.length, 1);
    row.forEach((step, bin) => image.data.set([...palette[shade(step)], 255], 4 * bin));
    past.getContext("2d").putImageData(image, 0, y);
  };

  const recolour = () => {
    paint();
    if (latest) rows.forEach(colour);
    draw();
  };

  const push = (frame) => {
    const now = Date.now();
    const goesOn = latest && latest.center === frame.center && latest.span === frame.span;
    if (!goesOn || past.width !== frame.peak.length || now - pushedAt > GAP_MS) {
      rows = [];
      marks = [];
      past.width = frame.peak.length;
    }
    pushedAt = now;
    latest = frame;
    drawn += 1;
    past.getContext("2d").drawImage(past, 0, 1);
    colour(frame.peak, 0);
    rows.unshift(frame.peak);
    rows.length = Math.min(rows.length, ROWS);
    for (const [hz, start, heard, meter] of frame.marks) {
      marks.unshift({ hz, heard, meter, at: drawn - 1 + Math.min(1, Math.max(0, start / frame.s)) });
    }
    while (marks.length && drawn - marks[marks.length - 1].at > ROWS) marks.pop();
    draw();
  };

  // For who wants less motion: a second's frames as one.
  const gather = (frame) => {
    if (!pending || pending.center !== frame.center) {
      pending = frame;
    } else {
      const before = pending.s;
      pending.peak.forEach((step, bin) => (pending.peak[bin] = Math.max(step, frame.peak[bin])));
      pending.mean = frame.mean;
      pending.floor = frame.floor;
      pending.marks.push(...frame.marks.map(([hz, start, ...rest]) => [hz, before + start, ...rest]));
      pending.s += frame.s;
    }
    if (pending.s < SLOW_S) return;
    push(pending);
    pending = null;
  };

  const take = (told) => {
    const frame = { ...told, peak: bytes(told.peak), mean: bytes(told.mean) };
    if (CALM.matches) gather(frame);
    else push(frame);
  };

  const draw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      render();
    });
  };

  const render = () => {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    brush.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const ink = (name) => style.getPropertyValue(`--${name}`).trim();
    brush.font = `12px ${style.fontFamily}`;
    if (!latest) {
      brush.fillStyle = ink("quiet");
      brush.textAlign = "center";
      brush.fillText(canvas.dataset.waiting, width / 2, height / 2);
      return;
    }
    const right = width - RIGHT, across = right - LEFT;
    const base = Math.round(TOP + (height - TOP - AXIS) * 0.4); // the bottom of the spectrum
    const below = base + AXIS; // the top of the waterfall
    const x = (hz) => LEFT + ((hz - latest.center) / latest.span + 0.5) * across;
    const low = Math.floor((floor() - 4) / 10) * 10;
    const most = rows.reduce((top, row) => row.reduce((a, b) => Math.max(a, b), top), 0);
    const high = Math.max(low + 40, Math.ceil((dbfs(most) + 2) / 10) * 10);
    const y = (level) => base - ((Math.max(low, Math.min(high, level)) - low) / (high - low)) * (base - TOP);

    // Axes
    brush.lineWidth = 1;
    brush.textBaseline = "middle";
    brush.textAlign = "right";
    const every = high - low > 50 ? 20 : 10;
    for (let level = Math.ceil(low / every) * every; level <= high; level += every) {
      const at = Math.round(y(level)) + 0.5;
      brush.strokeStyle = ink("line");
      brush.beginPath();
      brush.moveTo(LEFT, at);
      brush.lineTo(right, at);
      brush.stroke();
      brush.fillStyle = ink("quiet");
      if (at < base - 6) brush.fillText(whole(level), LEFT - 6, at);
    }
    brush.fillText("dBFS", LEFT - 6, base - 4);
    brush.textAlign = "center";
    const room = Math.max(1, Math.floor(across / 62));
    const step = [100e3, 200e3, 250e3, 500e3, 1e6, 2e6].find((hz) => latest.span / hz <= room) || 2e6;
    const words = step % 100e3 ? hundredths : tenths;
    const first = Math.ceil((latest.center - latest.span / 2) / step) * step;
    for (let hz = first; hz <= latest.center + latest.span / 2; hz += step) {
      const at = Math.round(x(hz)) + 0.5;
      brush.strokeStyle = ink("line");
      brush.beginPath();
      brush.moveTo(at, TOP);
      brush.lineTo(at, base + 4);
      brush.stroke();
      const text = words(hz / 1e6), half = brush.measureText(text).width / 2;
      brush.fillStyle = ink("text");
      if (at - half > LEFT - 4 && at + half < right + RIGHT) brush.fillText(text, at, base + AXIS / 2 + 1);
    }
    brush.textAlign = "right";
    brush.fillStyle = ink("quiet");
    brush.fillText("MHz", LEFT - 6, base + AXIS / 2 + 1);

    // Spectrum
    const line = (levels, stroke, thick) => {
      brush.beginPath();
      levels.forEach((value, bin) => {
        const at = LEFT + ((bin + 0.5) / levels.length) * across;
        if (bin) brush.lineTo(at, y(dbfs(value)));
        else brush.moveTo(at, y(dbfs(value)));
      });
      brush.strokeStyle = stroke;
      brush.lineWidth = thick;
      brush.lineJoin = "round";
      brush.stroke();
    };
    line(latest.mean, ink("quiet"), 1);
    line(latest.peak, ink("accent"), 1.75);
    if (latest.floor !== null) {
      brush.strokeStyle = ink("weak");
      brush.lineWidth = 1.5;
      brush.setLineDash([7, 4]);
      brush.beginPath();
      brush.moveTo(LEFT, y(latest.floor));
      brush.lineTo(right, y(latest.floor));
      brush.stroke();
      brush.setLineDash([]);
    }

    // Waterfall
    brush.save();
    brush.beginPath();
    brush.rect(LEFT, below, across, height - below);
    brush.clip();
    brush.imageSmoothingEnabled = false;
    brush.fillStyle = SHADES[DARK.matches ? "dark" : "light"][0];
    brush.fillRect(LEFT, below, across, height - below);
    brush.drawImage(past, 0, 0, past.width, rows.length, LEFT, below, across, rows.length * ROW_PX);
    const taken = [];
    for (const mark of marks) {
      const at = x(mark.hz), down = below + (drawn - mark.at) * ROW_PX;
      if (down > height) break;
      brush.beginPath();
      if (mark.heard) brush.arc(at, down, 5, 0, 2 * Math.PI);
      else brush.rect(Math.round(at) - 4.5, Math.round(down) - 3.5, 9, 7);
      if (mark.heard) {
        brush.strokeStyle = ink("panel");
        brush.lineWidth = 4;
        brush.stroke();
      }
      brush.strokeStyle = mark.heard ? ink("weak") : ink("quiet");
      brush.lineWidth = mark.heard ? 2 : 1;
      brush.stroke();
      if (mark.heard && mark.meter !== null) name(String(mark.meter), at, down, right, taken, ink);
    }
    brush.restore();
    brush.strokeStyle = ink("line");
    brush.lineWidth = 1;
    brush.strokeRect(LEFT - 0.5, below - 0.5, across + 1, height - below);
    brush.textAlign = "right";
    brush.fillStyle = ink("quiet");
    const pxPerS = ROW_PX / latest.s;
    const apart = [5, 10, 30, 60].find((s) => s * pxPerS >= 36) || 120;
    for (let s = apart; s * pxPerS < height - below - 4; s += apart) brush.fillText(`${s} s`, LEFT - 6, below + s * pxPerS);
    if (pointer !== null && pointer >= LEFT && pointer <= right) {
      brush.strokeStyle = ink("text");
      brush.beginPath();
      brush.moveTo(Math.round(pointer) + 0.5, TOP);
      brush.lineTo(Math.round(pointer) + 0.5, height);
      brush.stroke();
    }
  };

  // A meter's ID beside its mark, unless another stands there.
  const name = (text, at, down, right, taken, ink) => {
    const wide = brush.measureText(text).width + 8;
    const left = at + 8 + wide < right ? at + 8 : at - 8 - wide;
    if (taken.some((box) => Math.abs(box.down - down) < 16 && left < box.left + box.wide && box.left < left + wide)) return;
    taken.push({ left, down, wide });
    brush.globalAlpha = 0.88;
    brush.fillStyle = ink("panel");
    brush.fillRect(left, down - 8, wide, 16);
    brush.globalAlpha = 1;
    brush.fillStyle = ink("text");
    brush.textAlign = "left";
    brush.fillText(text, left + 4, down + 0.5);
  };

  // What is where somebody points: frequency and level, as a text.
  const pointed = () => {
    const across = canvas.clientWidth - LEFT - RIGHT;
    const place = (pointer - LEFT) / across;
    if (!latest || pointer === null || place < 0 || place >= 1) return "";
    const hz = latest.center + (place - 0.5) * latest.span;
    return `${thousandths(hz / 1e6)} MHz · ${whole(dbfs(latest.peak[Math.floor(place * latest.peak.length)]))} dBFS`;
  };
  const point = (event) => {
    pointer = event.type === "pointerleave" ? null : event.offsetX;
    draw();
  };
  for (const kind of ["pointerdown", "pointermove", "pointerleave"]) canvas.addEventListener(kind, point);
  DARK.addEventListener("change", recolour);
  new ResizeObserver(draw).observe(canvas);
  paint();
  draw();
  return { take, pointed };
};
