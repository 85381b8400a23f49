/**
 * Templates: a neighbour takes the keys of the templates it uses, later ones over earlier ones, its own keys over all. Templates can use
 * templates. Every key remembers where it was written, so that a fault is shown there.
 */
import { PASSWORD_KEYS } from './passwords.js'
import type { Report } from './report.js'
import { type NeighborKeys, neighborSchema } from './schema.js'
import { nearest } from './shapes.js'
import type { KeyPath } from './source.js'

export interface MergedKeys {
  readonly keys: NeighborKeys
  /** Where a key was written; the neighbour itself where it was not. */
  at(key: keyof NeighborKeys): KeyPath
  /** False: a template has faults of its own, and keys may be missing because of them. */
  readonly complete: boolean
}

interface Template {
  readonly keys: NeighborKeys | undefined
  readonly path: KeyPath
}

export class Templates {
  private readonly templates = new Map<string, Template>()
  private readonly report: Report

  constructor(written: ReadonlyMap<string, unknown>, report: Report) {
    this.report = report
    for (const [name, value] of written) {
      const path = ['templates', name]
      this.templates.set(name, { keys: report.check(neighborSchema, value, path), path })
    }
    for (const [name, template] of this.templates) {
      if (template.keys !== undefined) this.merge(template.keys, template.path, [name])
    }
  }

  /** Keys of all templates that are sound, for checks of what they name. */
  *entries(): Iterable<MergedKeys> {
    for (const { keys, path } of this.templates.values()) {
      if (keys !== undefined) yield { keys, at: (key) => [...path, key], complete: true }
    }
  }

  merge(own: NeighborKeys, path: KeyPath, chain: readonly string[] = []): MergedKeys {
    const keys: Record<string, unknown> = {}
    const places = new Map<string, KeyPath>()
    let complete = true
    for (const [index, name] of (own.use ?? []).entries()) {
      const place = (own.use?.length ?? 0) > 1 ? [...path, 'use', index] : [...path, 'use']
      const template = this.find(name, place, chain)
      if (template?.keys === undefined) {
        complete = false
        continue
      }
      const merged = this.merge(template.keys, template.path, [...chain, name])
      complete &&= merged.complete
      overridePassword(keys, merged.keys)
      for (const [key, value] of Object.entries(merged.keys)) {
        if (value === undefined || key === 'use') continue
        keys[key] = value
        places.set(key, merged.at(key as keyof NeighborKeys))
      }
    }
    overridePassword(keys, own)
    for (const [key, value] of Object.entries(own)) {
      if (value === undefined) continue
      keys[key] = value
      places.set(key, [...path, key])
    }
    return { keys: keys as NeighborKeys, at: (key) => places.get(key) ?? path, complete }
  }

  private find(name: string, place: KeyPath, chain: readonly string[]): Template | undefined {
    if (chain.includes(name) || chain.length >= MAX_NESTING) {
      const loop = [...chain.slice(Math.max(0, chain.indexOf(name))), name]
      const what = chain.includes(name)
        ? `templates use each other in a loop: ${loop.join(' → ')}`
        : `more than ${MAX_NESTING} templates use each other`
      this.report.problem(place, what)
      return undefined
    }
    const template = this.templates.get(name)
    if (template === undefined) {
      const near = nearest(name, this.templates.keys())
      this.report.problem(
        place,
        `no template is called ${name}${near === null ? '' : `; did you mean ${near}?`}; define it under templates`,
      )
    }
    return template
  }
}

/** A password counts over those before it, however they were given. */
function overridePassword(keys: Record<string, unknown>, over: NeighborKeys): void {
  if (PASSWORD_KEYS.every((key) => over[key] === undefined)) return
  for (const key of PASSWORD_KEYS) delete keys[key]
}

const MAX_NESTING = 16
