/**
 * The layering: who may import what, and that the core stays free of sockets, clocks, timers, randomness and logs. The table is the document;
 * a file belongs to the first row that names it or its folder. `import type` is free, and so is everything in a `types.ts`, which holds contracts.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import t from 'tap'
import { projectRoot } from './support/root.js'

interface Row {
  readonly name: string
  /** Files, or folders with a slash at the end. */
  readonly files: readonly string[]
  /** Names of the rows whose values it may import besides its own; `*`: all. */
  readonly uses: readonly string[]
  readonly packages?: readonly string[]
  /** Node's modules; `*`: an edge, which may use all of them, and the clock. */
  readonly node?: readonly string[]
}

const CODEC = ['net', 'words', 'wire', 'elements', 'messages']
const ROWS: readonly Row[] = [
  { name: 'net', files: ['src/net/'], uses: [], packages: ['ip-num'] },
  { name: 'sys', files: ['src/sys/'], uses: [], node: ['*'] },
  { name: 'netlink', files: ['src/netlink/'], uses: ['net'] },
  { name: 'words', files: ['src/bgp/errors.ts', 'src/bgp/iana.ts', 'src/bgp/timers.ts'], uses: ['net'] },
  { name: 'wire', files: ['src/bgp/wire/'], uses: ['words'], packages: ['smart-buffer'] },
  {
    name: 'elements',
    files: ['src/bgp/attributes/', 'src/bgp/nlri/', 'src/bgp/capabilities/'],
    uses: ['net', 'words', 'wire'],
  },
  { name: 'messages', files: ['src/bgp/message/'], uses: ['net', 'words', 'wire', 'elements'] },
  {
    name: 'bgp edge',
    files: [
      'src/bgp/read-turns.ts',
      'src/bgp/transport.ts',
      'src/bgp/listener.ts',
      'src/bgp/socket-options.ts',
      'src/bgp/clock.ts',
      'src/bgp/peer-manager.ts',
    ],
    uses: [...CODEC, 'bgp', 'log', 'sys'],
    node: ['*'],
  },
  { name: 'bgp', files: ['src/bgp/'], uses: CODEC },
  {
    name: 'bfd edge',
    files: ['src/bfd/bfd-worker.ts', 'src/bfd/client.ts', 'src/bfd/sockets.ts'],
    uses: ['net', 'bfd', 'sys'],
    node: ['*'],
  },
  { name: 'bfd', files: ['src/bfd/'], uses: ['net', 'words'] },
  { name: 'rib', files: ['src/rib/'], uses: CODEC },
  { name: 'reflector', files: ['src/reflector/'], uses: [...CODEC, 'rib'] },
  {
    name: 'fib edge',
    files: [
      'src/fib/iproute2.ts',
      'src/fib/netlink.ts',
      'src/fib/netlink-events.ts',
      'src/fib/netlink-socket.ts',
      'src/fib/netlink-triggers.ts',
      'src/fib/lock.ts',
      'src/fib/ip-batch.ts',
      'src/fib/ip-monitor.ts',
      'src/fib/ip-run.ts',
      'src/fib/tunnel.ts',
      'src/fib/encap/encapsulator.ts',
      'src/fib/encap/vxlan.ts',
      'src/fib/encap/udp.ts',
      'src/fib/encap/udp-worker.ts',
      'src/fib/fib.ts',
      'src/fib/engine.ts',
      'src/fib/engine/judge.ts',
      'src/fib/engine/others.ts',
      'src/fib/engine/reader.ts',
      'src/fib/engine/state.ts',
      'src/fib/engine/turns.ts',
      'src/fib/engine/watch.ts',
      'src/fib/engine/writer.ts',
    ],
    uses: ['net', 'rib', 'fib', 'log', 'sys', 'netlink'],
    node: ['*'],
  },
  { name: 'fib', files: ['src/fib/'], uses: ['net', 'rib', 'netlink'] },
  { name: 'config edge', files: ['src/config/load.ts'], uses: ['net', 'config'], node: ['*'] },
  {
    name: 'config',
    files: ['src/config/'],
    uses: ['net', 'words', 'elements', 'messages', 'bgp', 'rib'],
    packages: ['yaml', 'zod'],
    node: ['node:crypto'],
  },
  { name: 'api', files: ['src/api/'], uses: ['net', 'log'], packages: ['prom-client', 'zod'], node: ['*'] },
  {
    name: 'log',
    files: ['src/log.ts', 'src/log-output.ts', 'src/version.ts', 'src/at-exit.ts'],
    uses: ['net'],
    packages: ['pino'],
    node: ['*'],
  },
  { name: 'lab', files: ['src/lab/'], uses: ['*'], packages: ['yaml'], node: ['*'] },
  {
    name: 'load edge',
    files: [
      'src/load/neighbour.ts',
      'src/load/sessions.ts',
      'src/load/run.ts',
      'src/load/stage.ts',
      'src/load/progress.ts',
      'src/load/wait.ts',
      'src/load/turns.ts',
    ],
    uses: [...CODEC, 'bgp', 'load'],
    node: ['*'],
  },
  { name: 'load', files: ['src/load/'], uses: CODEC },
  { name: 'cli', files: ['src/cli/'], uses: ['*'], packages: ['yargs'], node: ['*'] },
  { name: 'daemon', files: ['src/daemon.ts', 'src/daemon/'], uses: ['*'], node: ['*'] },
]

/** What the core takes as arguments instead. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|performance\.|setTimeout|setInterval|setImmediate|Math\.random|console\.|process\.)/

t.test('every source file belongs to a row', async (t) => {
  t.same(
    sources().filter((file) => rowOf(file) === undefined),
    [],
  )
})

for (const row of ROWS) {
  t.test(
    `${row.name} imports ${row.uses.includes('*') ? 'anything' : `only ${['itself', ...row.uses].join(', ')}`}`,
    async (t) => {
      const files = sources().filter((file) => rowOf(file) === row)
      t.same(
        files.flatMap((file) => violations(file, readFileSync(join(projectRoot, file), 'utf8'))),
        [],
      )
    },
  )
}

t.test('the check sees what it is meant to see', async (t) => {
  const file = 'src/rib/decision.ts'
  t.match(violations(file, "import { connect } from 'node:net'"), [/imports node:net/])
  t.match(violations(file, "import pino from 'pino'"), [/imports pino/])
  t.match(violations(file, "import {\n  startApi,\n} from '../api/server.js'"), [/imports src\/api\/server\.ts/])
  t.match(violations(file, "export * from '../reflector/reflect.js'"), [/imports src\/reflector/])
  t.match(violations(file, "const late = await import('../cli/main.js')"), [/imports src\/cli/])
  t.match(violations(file, 'const now = Date.now()'), [/Date\.now/])
  t.same(violations(file, "import type { Log } from '../log.js'"), [])
  t.same(violations(file, "import { ApiError } from '../api/types.js'\n// Date.now() is for edges"), [])
  t.same(violations('src/cli/main.ts', "import { run } from '../daemon.js'\nDate.now()"), [])
})

function violations(file: string, source: string): string[] {
  const row = rowOf(file)
  if (row === undefined) return [`${file} belongs to no row`]
  const code = withoutComments(source)
  const found = importsOf(code)
    .filter((specifier) => !mayImport(row, file, specifier))
    .map(
      (specifier) =>
        `${file} (${row.name}) imports ${specifier.startsWith('.') ? resolve(file, specifier) : specifier}`,
    )
  const impure = row.node?.includes('*') ? null : IMPURE.exec(code)
  return impure === null ? found : [...found, `${file} (${row.name}) uses ${impure[1]}`]
}

function mayImport(row: Row, file: string, specifier: string): boolean {
  if (specifier.startsWith('node:')) return row.node?.some((name) => name === '*' || name === specifier) ?? false
  if (!specifier.startsWith('.')) return row.packages?.includes(packageOf(specifier)) ?? false
  const target = resolve(file, specifier)
  const other = rowOf(target)
  if (target.endsWith('types.ts') || other === row || row.uses.includes('*')) return true
  return other !== undefined && row.uses.includes(other.name)
}

/** Specifiers of imports and re-exports that remain at run time. */
function importsOf(code: string): string[] {
  const statements = code.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";=]*?\bfrom\s+)?['"]([^'"]+)['"]/gm)
  const dynamic = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)
  return [...statements, ...dynamic].flatMap((match) => match[1] ?? [])
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function resolve(file: string, specifier: string): string {
  return posix.join(dirname(file), specifier).replace(/\.js$/, '.ts')
}

function packageOf(specifier: string): string {
  const [first = '', second = ''] = specifier.split('/')
  return first.startsWith('@') ? `${first}/${second}` : first
}

function rowOf(file: string): Row | undefined {
  return ROWS.find((row) => row.files.some((one) => (one.endsWith('/') ? file.startsWith(one) : file === one)))
}

function sources(): string[] {
  return readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/${file}`)
    .sort()
}
