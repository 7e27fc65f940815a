// Types of mirror.mjs, for what is checked by the compiler.

export function mirrorOfThisMachine(suite: string): string | undefined
