/** Numbers as people read them: 1.05 M, 12.3 MB, 4 min 10 s. Browser-safe, no locale dependence. */

const SCALES: readonly [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** Three significant digits with a decimal suffix: 1234567 -> "1.23 M". */
export function formatCount(value: number): string {
  for (const [scale, suffix] of SCALES) {
    if (Math.abs(value) >= scale) return `${threeDigits(value / scale)} ${suffix}`;
  }
  return Number.isInteger(value) ? String(value) : threeDigits(value);
}

/** Bytes with decimal suffixes: 2500000 -> "2.50 MB". */
export function formatBytes(bytes: number): string {
  for (const [scale, suffix] of SCALES) {
    if (Math.abs(bytes) >= scale) return `${threeDigits(bytes / scale)} ${suffix}B`;
  }
  return `${bytes} B`;
}

/** Seconds as "4.2 s", "4 min 10 s" or "2 h 5 min". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function threeDigits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
