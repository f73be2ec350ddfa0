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

  // Groups of three as the server writes them, and the point of the language.
  const point = new Intl.NumberFormat(lang).format(1.5).includes(",") ? "," : ".";
  const number = (value, digits) => {
    const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
    const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
    return `${value < 0 ? "−" : ""}${grouped}${rest ? point + rest : ""}`;
  };
  const digits = (value) => Math.min(6, Math.max(0, -Math.floor(Math.log10(Math.abs(value) || 1)) + 1));

  return {
    number,
    quantity: (counts) => `${number(counts * Number(multiplier), Number(decimals))} ${unit}`,
    tick: (value) => number(value, digits(value)).replace(/([.,]\d*?)0+$/, "$1").replace(/[.,]$/, ""),
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
