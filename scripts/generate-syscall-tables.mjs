// Writes src/kernel/calls/*.ts from the kernel's exported headers.
//
//   node scripts/generate-syscall-tables.mjs UAPI VERSION
//
// UAPI holds x86/asm/unistd_64.h and so on; Debian's linux-libc-dev (trixie and later) has it for every architecture:
//   apt-get download linux-libc-dev && dpkg-deb -x linux-libc-dev_*.deb tree
//   node scripts/generate-syscall-tables.mjs tree/usr/lib/linux/uapi 'linux-libc-dev 7.2.13-1'
// The numbers are the kernel's ABI: they never change, newer headers only add some.

import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

const [uapi, version] = process.argv.slice(2)
if (!uapi || !version) {
  process.stderr.write('usage: generate-syscall-tables.mjs UAPI VERSION\n')
  process.exit(2)
}

const X32_SYSCALL_BIT = 0x40000000
/** ARM's private calls lie above this base and are named __ARM_NR_*, see asm/unistd.h. */
const ARM_PRIVATE_BASE = 0x0f0000

const TABLES = [
  {abi: 'x86_64', headers: ['x86/asm/unistd_64.h']},
  {abi: 'i386', headers: ['x86/asm/unistd_32.h']},
  {abi: 'x32', headers: ['x86/asm/unistd_x32.h']},
  {abi: 'aarch64', headers: ['arm64/asm/unistd_64.h']},
  {abi: 'arm', headers: ['arm/asm/unistd-eabi.h', 'arm/asm/unistd.h']},
]

const BASES = {
  __NR_SYSCALL_BASE: 0, // EABI
  __X32_SYSCALL_BIT: X32_SYSCALL_BIT,
  __ARM_NR_BASE: ARM_PRIVATE_BASE,
}

function entries(header) {
  const found = []
  const define = /^#define\s+__(?:ARM_)?NR_([a-z_]\w*)\s+\(?(?:(\w+)\s*\+\s*)?(0x[0-9a-f]+|\d+)\)?\s*$/gm
  for (const [, name, base, number] of readFileSync(join(uapi, header), 'utf8').matchAll(define)) {
    if (base !== undefined && !(base in BASES)) throw new Error(`${header}: unknown base ${base}`)
    found.push([name, Number(number) + (base === undefined ? 0 : BASES[base])])
  }
  if (found.length === 0) throw new Error(`${header}: no system calls found`)
  return found
}

function wrap(words, width) {
  const lines = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join('\n')
}

for (const {abi, headers} of TABLES) {
  const numbers = new Map()
  for (const [name, number] of headers.flatMap(entries)) {
    if (numbers.has(name)) throw new Error(`${abi}: ${name} twice`)
    numbers.set(name, number)
  }
  const words = [...numbers].sort((a, b) => a[1] - b[1]).map(([name, number]) => `${name}=${number}`)
  const text = `// System call numbers of ${abi}. Generated from ${version} by generate-syscall-tables.mjs.

export const ${abi.toUpperCase()}_CALLS = \`
${wrap(words, 116)}
\`
`
  writeFileSync(new URL(`../src/kernel/calls/${abi}.ts`, import.meta.url), text)
}
