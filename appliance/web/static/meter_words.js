// How a meter's charts write times and quantities: in the page's language, in the appliance's zone (zone.js), and in the
// unit that the meter is read in, as the server writes them.
"use strict";
const MeterWords = ({ unit, multiplier, decimals }) => {
  const lang = document.documentElement.lang;
  const { format, writer, onDay, atHour } = Zone;
  const inWords = (options) => {
    const written = format(options);
    return (ms) => written.format(ms);
  };

  // The minus is as wide as a plus, as the server writes it.
  const writers = new Map();
  const number = (value, most, least = most) => {
    const key = `${most} ${least}`;
    const known = writers.get(key) || new Intl.NumberFormat(lang, { minimumFractionDigits: least, maximumFractionDigits: most });
    writers.set(key, known);
    return known.format(value).replace(/^-(?=[0.,]+$)/, "").replace("-", "\u2212");
  };
  const digits = (value) => Math.min(6, Math.max(0, -Math.floor(Math.log10(Math.abs(value) || 1)) + 1));

  return {
    number,
    quantity: (counts) => `${number(counts * Number(multiplier), Number(decimals))} ${unit}`,
    tick: (value) => number(value, digits(value), 0),
    hours: format(atHour),
    dayMonth: format({ day: "numeric", month: "short" }),
    monthYear: format({ month: "short", year: "numeric" }),
    instant: writer({}),
    // What a step is called.
    inFull: {
      quarter: writer({ day: { weekday: "short", ...onDay } }),
      day: inWords({ ...onDay, weekday: "long", month: "long" }),
      month: inWords({ month: "long", year: "numeric" }),
    },
  };
};
