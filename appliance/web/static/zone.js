// Times in the appliance's zone, whichever the phone's is, written as the server writes them (frame/cldr.py): in the
// page's language, by 24 hours, with the difference from UTC.
"use strict";
const Zone = (() => {
  const { zone: told, zoneMinutes } = document.getElementById("connection").dataset;
  const lang = document.documentElement.lang;

  // A browser that is older than a zone does not know it: what stands in for it is as far from UTC as it is now.
  const known = () => {
    try {
      new Intl.DateTimeFormat("en", { timeZone: told });
      return told;
    } catch {
      const hours = -Number(zoneMinutes) / 60; // the sign is that of POSIX, where west is plus
      return Number.isInteger(hours) ? `Etc/GMT${hours < 0 ? hours : `+${hours}`}` : "UTC";
    }
  };
  const name = known();
  const phones = new Intl.DateTimeFormat().resolvedOptions().timeZone;

  const unbroken = (text) => text.replace(/ /g, "\u00a0");
  const format = (options, timeZone = name) => new Intl.DateTimeFormat(lang, { timeZone, ...options });
  const onDay = { day: "numeric", month: "short", year: "numeric" };
  const atHour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

  // A zone's difference from UTC at an instant, as it follows a time.
  const offsets = (timeZone) => {
    const named = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });
    return (ms) => {
      const { value } = named.formatToParts(ms).find(({ type }) => type === "timeZoneName");
      const ahead = value.slice("GMT".length).replace("-", "\u2212").replace(/:00$/, "");
      return `\u00a0UTC${/[1-9]/.test(ahead) ? ahead : ""}`;
    };
  };

  // What writes an instant with the zone: its day in these parts, and the time of day.
  const writer = ({ timeZone = name, day = onDay, seconds = false }) => {
    const date = format(day, timeZone);
    const time = format(seconds ? { ...atHour, second: "2-digit" } : atHour, timeZone);
    const offset = offsets(timeZone);
    return (ms) => `${unbroken(date.format(ms))}, ${time.format(ms)}${offset(ms)}`;
  };
  // All of it, to the second.
  const inFull = writer({ seconds: true });

  return { told, name, phones, onDay, atHour, format, writer, inFull };
})();
