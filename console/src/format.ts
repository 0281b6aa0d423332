// Numbers and times as people read them. All times are UTC.

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, notation: "standard" });
const large = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });

export function amount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return Math.abs(value) >= 1e5 ? large.format(value) : number.format(value);
}

export function percent(share: number): string {
  return `${number.format(share * 100)} %`;
}

export function duration(seconds: number | null): string {
  if (seconds === null) return "never";
  if (seconds < 120) return `${number.format(seconds)} s`;
  if (seconds < 7200) return `${number.format(seconds / 60)} min`;
  return seconds < 172_800 ? `${number.format(seconds / 3600)} h` : `${number.format(seconds / 86_400)} d`;
}

const moment = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "short",
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export function time(at: number): string {
  return moment.format(new Date(at * 1000));
}

const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function date(at: number): string {
  return day.format(new Date(at * 1000));
}

export function timeOfDay(at: number): string {
  return clock.format(new Date(at * 1000));
}

export function iso(at: number): string {
  return new Date(at * 1000).toISOString();
}

/** `sha256:` and the first digits. */
export function short(digest: string): string {
  return digest.length > 19 ? `${digest.slice(0, 19)}…` : digest;
}

export function bytes(count: number): string {
  return count < 1024 ? `${count} B` : `${number.format(count / 1024)} KiB`;
}
