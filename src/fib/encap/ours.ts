import type { LinkJson } from '../tunnel.js'

/** Marks devices that we made. */
export const ALIAS = 'nodebgp'

export function isOurs(link: Pick<LinkJson, 'ifalias'>): boolean {
  return link.ifalias === ALIAS
}
