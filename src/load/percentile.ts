/** The smallest value that at least this share (0 to 1) of the sorted values do not exceed; null where there are none. */
export function percentile(sorted: Float64Array, share: number): number | null {
  return sorted.length === 0 ? null : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}
