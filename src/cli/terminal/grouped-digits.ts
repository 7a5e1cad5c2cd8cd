/** 124439808 -> "124,439,808". Rounds to a whole number first. */
export function groupedDigits(value: number): string {
  return Math.round(value)
    .toString()
    .replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
