// How a meter's charts write times and quantities: in the page's language, in the appliance's zone, and in the unit that
// the meter is read in, as the server writes them.
"use strict";
const MeterWords = ({ zone, unit, multiplier, decimals }) => {
  const lang = document.documentElement.lang;
  const format = (options) => new Intl.DateTimeFormat(lang, { timeZone: zone, ...options });
  const atHour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const onDay = { day: "numeric", month: "short", year: "numeric" };

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
    instant: format({ ...onDay, ...atHour, timeZoneName: "short" }),
    // What a step is called.
    inFull: {
      quarter: format({ weekday: "short", ...onDay, ...atHour, timeZoneName: "short" }),
      day: format({ ...onDay, weekday: "long", month: "long" }),
      month: format({ month: "long", year: "numeric" }),
    },
  };
};
