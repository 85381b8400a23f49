/**
 * Next hops of one route, as a whole (pure).
 */
import type { KernelHop } from './types.js'

/** One alone gets all of the traffic, whatever its weight was among several. */
export function withShares(hops: KernelHop[]): KernelHop[] {
  if (hops.length !== 1 || hops[0]!.weight === undefined) return hops
  const { gateway, device, onlink } = hops[0]!
  return [{ gateway, device, onlink }]
}
