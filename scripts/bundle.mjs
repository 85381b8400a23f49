/**
 * The program as a few files in dist/bundle, from the compiled ones: a daemon starts in about half the time (docs/adr/0012-bundle.md). The
 * lab and the load generator stay outside: they start programs that lie beside them.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { exercise } from './exercise.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export async function bundle() {
  rmSync(join(root, 'dist', 'bundle'), { recursive: true, force: true })
  await build({
    ...COMMON,
    // Threads are started from files of their own (src/bfd/client.ts, src/fib/encap/udp.ts).
    entryPoints: {
      main: 'dist/src/cli/main.js',
      'cached-daemon': 'dist/src/cli/cached-daemon.js',
      'bfd-worker': 'dist/src/bfd/bfd-worker.js',
      'udp-worker': 'dist/src/fib/encap/udp-worker.js',
    },
    outdir: 'dist/bundle',
    splitting: true,
    format: 'esm',
    // Some packages are CommonJS and ask for Node's modules by `require`.
    banner: { js: "import{createRequire as nodeRequire}from'node:module';const require=nodeRequire(import.meta.url);" },
    plugins: [{ name: 'outside', setup }],
  })
  await bundleDaemon()
}

/** The daemon again, as a script with its code: src/cli/cached-daemon.ts loads both. */
async function bundleDaemon() {
  const outfile = join(root, 'dist', 'bundle', 'daemon.cjs')
  await build({
    ...COMMON,
    stdin: { contents: DAEMON, resolveDir: root },
    outfile,
    format: 'cjs',
    define: { 'import.meta.url': 'thisFile' },
    banner: { js: "const thisFile=require('node:url').pathToFileURL(__filename).href;" },
  })
  const { codeFileOf, loadScript } = await import(pathToFileURL(join(root, 'dist/src/cli/cached-daemon.js')).href)
  const { exports, script } = loadScript(outfile)
  // Functions that have not run are not in the code.
  const loaded = exports.loadConfig(join(root, 'bgp.example.yaml'))
  if (!loaded.ok) throw new Error(`bgp.example.yaml: ${loaded.problems[0]?.message}`)
  for (const step of exports.rehearsal(loaded.config.fib)) void step
  try {
    await exercise(exports)
  } catch (error) {
    process.stderr.write(
      `nodebgp: the daemon will start somewhat slower, because it could not be tried out on loopback: ${error.message}\n`,
    )
  }
  writeFileSync(codeFileOf(outfile), script.createCachedData())
}

/** What the daemon's script exports: itself, and what is run when its code is made. */
const DAEMON = `
  export { runDaemon } from './dist/src/daemon.js'
  export { loadConfig } from './dist/src/config/load.js'
  export { Speaker } from './dist/src/daemon/speaker.js'
  export { createLogger } from './dist/src/log.js'
  export { rehearsal } from './dist/src/daemon/warm-up.js'
`
const COMMON = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  // Names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'linked',
  logLevel: 'warning',
}

function setup({ onResolve }) {
  onResolve({ filter: /^(\.\.\/)+daemon\.js$/ }, () => ({ path: './cached-daemon.js', external: true }))
  onResolve({ filter: /^\.\/commands\/(lab|load)\.js$/ }, ({ path }) => ({
    path: join('../src/cli', path),
    external: true,
  }))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await bundle()
