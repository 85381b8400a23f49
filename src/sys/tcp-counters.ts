/**
 * Edge: what the kernel dropped without a word, of this network namespace: /proc/net/netstat, TcpExt. A segment with a wrong password or from too far away
 * leaves no other trace.
 */
import { readFileSync } from 'node:fs'

export const TCP_DROPS = Object.freeze(['md5Failure', 'md5NotFound', 'md5Unexpected', 'minTtl'] as const)
export type TcpDrop = (typeof TCP_DROPS)[number]
/** Segments since the namespace was made. */
export type TcpDrops = Readonly<Record<TcpDrop, number>>

/** Null where the kernel does not say (not Linux, or without /proc). */
export function readTcpDrops(): TcpDrops | null {
  try {
    return parseTcpDrops(readFileSync('/proc/net/netstat', 'latin1'))
  } catch {
    return null
  }
}

/** Two lines for each group: the names, and the numbers. */
export function parseTcpDrops(text: string): TcpDrops | null {
  const [names, numbers] = text
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  if (names === undefined || numbers === undefined) return null
  const value = (name: string): number => Number(numbers[names.indexOf(name)] ?? 0)
  return {
    md5Failure: value('TCPMD5Failure'),
    md5NotFound: value('TCPMD5NotFound'),
    md5Unexpected: value('TCPMD5Unexpected'),
    minTtl: value('TCPMinTTLDrop'),
  }
}
