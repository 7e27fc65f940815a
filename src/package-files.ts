// Where the files of this package are, wherever the code runs from: its sources in src/, or the bundle in dist/.

/**
 * URL of a file by its path in the package. This module lies one level below the package, and every file of the bundle
 * does too, which scripts/build.mjs sees to.
 */
export function packageFile(path: string): URL {
  return new URL(`../${path}`, import.meta.url)
}

/** Run from the sources, as tests do, instead of from the bundle. */
export function isSource(): boolean {
  return import.meta.url.endsWith('.ts')
}
