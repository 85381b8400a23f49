/** The documents name what there is: options, keys, metrics, log events, environment; and what they point to is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { METRICS } from '../../src/api/metric-table.js'
import { SUPPORTED_KEYS } from '../../src/config/schema.js'
import { projectRoot } from '../support/root.js'
import { nodebgp } from './cli.js'

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'fixtures/README.md',
  ...filesIn('docs').filter((name) => name.endsWith('.md')),
]

const COMMANDS = [
  'run',
  'check',
  ...['summary', 'neighbors', 'rib', 'adj-in', 'adj-out', 'groups', 'fib', 'blocks', 'bfd', 'errors'].map(
    (view) => `show ${view}`,
  ),
  'explain',
  'neighbor',
  'announce',
  'withdraw',
  'reload',
  'fib flush',
  'fib restore',
  'decode',
  'lab',
  'load',
]

t.test('every option of every command', async (t) => {
  const commands = read('docs/commands.md') + read('docs/load.md')
  for (const command of COMMANDS) {
    const { code, out } = await nodebgp([...command.split(' '), '--help'])
    t.equal(code, 0, command)
    for (const [, option] of out.matchAll(/^ +(?:-\w, )?--([a-z0-9-]+)/gm)) {
      // `--no-as4` and `--no-withdraw` are how those that are on by themselves are written.
      t.ok(new RegExp(`--(no-)?${option}\\b`).test(commands), `${command} --${option}`)
    }
  }
})

t.test('every key of the configuration', (t) => {
  const code = [...(read('docs/configuration.md') + read('docs/kernel.md')).matchAll(/`([^`]+)`/g)]
    .map((match) => match[1])
    .join('\n')
  for (const key of new Set(Object.values(SUPPORTED_KEYS).flat()))
    t.ok(new RegExp(`\\b${key}\\b`).test(code), `${key} is in docs/configuration.md or docs/kernel.md`)
  t.end()
})

t.test('docs/metrics.md is the table of metrics', (t) => {
  const rows = Object.entries(METRICS).map(
    ([name, [kind, help, labels]]) =>
      `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  )
  t.same(
    read('docs/metrics.md')
      .split('\n')
      .filter((line) => line.startsWith('| `')),
    rows,
  )
  const named = DOCUMENTS.flatMap((name) => read(name).match(/\bbgp_[a-z0-9_]+[a-z0-9]\b/g) ?? [])
  for (const name of new Set(named))
    t.ok(
      Object.keys(METRICS).some((metric) => metric.startsWith(name)),
      `${name} is a metric`,
    )
  t.end()
})

t.test('every log event, and every variable of the environment', (t) => {
  const log = /interface LogEventFields \{([\s\S]*?)\n\}/.exec(read('src/log.ts'))![1]!
  const events = [...log.matchAll(/^ {2}'?([a-z-]+)'?: \{/gm)].map((match) => match[1]!)
  t.ok(events.length > 20)
  for (const event of events) t.match(read('docs/operations.md'), `\`${event}\``)
  const source = filesIn('src').map(read).join('\n')
  for (const name of new Set(source.match(/\bNODEBGP_[A-Z_]+/g))) t.match(read('docs/configuration.md'), `\`${name}\``)
  t.end()
})

t.test('links, and files that are named, are there', (t) => {
  for (const name of DOCUMENTS) {
    const text = read(name)
    for (const [, target, anchor] of text.matchAll(/\]\(([^)#\s]*)(?:#([^)]*))?\)/g)) {
      if (target!.startsWith('http')) continue
      const file = target === '' ? name : join(dirname(name), target!)
      t.ok(existsSync(join(projectRoot, file)), `${name}: ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(read(file)).includes(anchor), `${name}: ${target}#${anchor}`)
    }
    for (const [, file] of text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|mjs))`/g))
      t.ok(
        ['', 'src', 'test'].some((folder) => existsSync(join(projectRoot, folder, file!))),
        `${name}: ${file}`,
      )
  }
  t.end()
})

function read(name: string): string {
  return readFileSync(join(projectRoot, name), 'utf8')
}

function filesIn(folder: string): string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(projectRoot.length + 1))
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replace(/ /g, '-'),
  )
}
