/**
 * The program as a few files in dist/bundle, from the compiled ones: a daemon starts in about half the time (docs/adr/0012-bundle.md). The
 * lab and the load generator stay outside: they start programs that lie beside them.
 */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export async function bundle() {
  rmSync(join(root, 'dist', 'bundle'), { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    // Threads are started from files of their own (src/bfd/client.ts, src/fib/encap/udp.ts).
    entryPoints: {
      main: 'dist/src/cli/main.js',
      'bfd-worker': 'dist/src/bfd/bfd-worker.js',
      'udp-worker': 'dist/src/fib/encap/udp-worker.js',
    },
    outdir: 'dist/bundle',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Names stay, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'linked',
    logLevel: 'warning',
    // Some packages are CommonJS and ask for Node's modules by `require`.
    banner: { js: "import{createRequire as nodeRequire}from'node:module';const require=nodeRequire(import.meta.url);" },
    plugins: [{ name: 'outside', setup }],
  })
}

function setup({ onResolve }) {
  onResolve({ filter: /^\.\/commands\/(lab|load)\.js$/ }, ({ path }) => ({
    path: join('../src/cli', path),
    external: true,
  }))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await bundle()
