/**
 * Collects the problems and notes of one file, with their places, and turns zod's issues into them.
 */
import type { z } from 'zod'
import type { IssueParams } from './shapes.js'
import type { KeyPath, YamlSource } from './source.js'
import type { ConfigProblem } from './types.js'

export class Report {
  private readonly source: YamlSource
  private readonly found = new Map<string, ConfigProblem>()
  private unset: ReadonlySet<string> = new Set()
  private readonly noted = new Map<string, ConfigProblem>()

  constructor(source: YamlSource) {
    this.source = source
    for (const problem of source.problems) this.keep(this.found, problem)
    this.unset = new Set(source.problems.map((problem) => `${problem.line}:${problem.column}`))
  }

  problem(path: KeyPath, message: string, at: 'key' | 'value' = 'value'): void {
    this.keep(this.found, this.source.problem(path, message, at))
  }

  note(path: KeyPath, message: string): void {
    this.keep(this.noted, this.source.problem(path, message))
  }

  /** The value, or undefined where it has faults; those are kept with `path` in front of theirs. */
  check<T>(schema: z.ZodType<T>, value: unknown, path: KeyPath): T | undefined {
    const result = schema.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) this.issue(issue, path)
    return undefined
  }

  lineOf(path: KeyPath): number {
    return this.source.problem(path, '').line
  }

  get failed(): boolean {
    return this.found.size > 0
  }

  problems(): readonly ConfigProblem[] {
    const all = inOrder(this.found)
    if (all.length <= MAX_PROBLEMS) return all
    const more = all.length - MAX_PROBLEMS
    return [
      ...all.slice(0, MAX_PROBLEMS),
      { ...all[0]!, line: 0, column: 0, path: '', message: `and ${more} more problems` },
    ]
  }

  notes(): readonly ConfigProblem[] {
    return inOrder(this.noted)
  }

  private issue(issue: z.core.$ZodIssue, base: KeyPath): void {
    const path = [...base, ...issue.path.filter((part) => typeof part !== 'symbol')] as KeyPath
    const params: IssueParams = (issue as { params?: IssueParams }).params ?? {}
    if (params.whole === true) {
      this.problem(path, issue.message, params.at)
      return
    }
    const got = params.at === 'key' ? `'${String(path.at(-1)).slice(0, 60)}'` : this.source.describe(path)
    this.problem(path, got === 'nothing' ? `missing; ${issue.message}` : `${issue.message}, got ${got}`, params.at)
  }

  /** One problem per place where the environment is at fault: what follows from the missing value is not news. */
  private keep(into: Map<string, ConfigProblem>, problem: ConfigProblem): void {
    const place = `${problem.line}:${problem.column}`
    if (into === this.found && this.unset.has(place)) return
    into.set(`${place}:${problem.message}`, problem)
  }
}

function inOrder(problems: ReadonlyMap<string, ConfigProblem>): ConfigProblem[] {
  return [...problems.values()].sort((a, b) => a.line - b.line || a.column - b.column)
}

const MAX_PROBLEMS = 1000
