import path from 'node:path'
import { TidemarkError } from './errors.ts'
import type { ResponsibilityPolicy } from './protocol/responsibility.ts'
import type { Confirm, MirrorTarget, Ordering } from './protocol/setting.ts'
import type { GroupOptions, LocalSecondary, VolumeOptions } from './types.ts'

export type RefetchFunction = (volume: string, offset: number, length: number) => Promise<Uint8Array>

/** Options with their defaults filled in and every value checked. */
export interface CheckedOptions {
  readonly name: string
  readonly volumes: readonly VolumeOptions[]
  readonly components: number
  readonly spares: number
  readonly takeover: 'spare' | 'survivors'
  readonly hangTimeoutMs: number
  readonly mirrors: number
  readonly mirrorTarget: MirrorTarget
  readonly metadataOnly: boolean
  /** Reads bytes of primary volumes again: the href of a module, or a function of the host. */
  readonly refetch: string | RefetchFunction | undefined
  readonly ordering: Ordering
  readonly responsibility: ResponsibilityPolicy
  readonly formationPeriodMs: number
  readonly lagTargetMs: number | undefined
  readonly componentMemoryBytes: number
  /** Undefined for 'discard'. */
  readonly secondary:
    | {
        readonly directory: string
        readonly components: number
        readonly confirm: Confirm
        readonly history: LocalSecondary['history']
      }
    | undefined
  readonly spool: { readonly directory: string; readonly limitBytes: number } | undefined
}

const MIB = 2 ** 20
export const LARGEST_COMPONENTS = 64
const SMALLEST_MEMORY = MIB
/** Addresses within an arena, with what is set aside for restoring, are 31 bits. */
const LARGEST_MEMORY = 1024 * MIB
const LARGEST_PERIOD_MS = 366 * 24 * 3600 * 1000
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/

function refuse(option: string, message: string): never {
  throw new TidemarkError('TIDEMARK_OPTIONS', `${option} ${message}`, { option })
}

function whole(option: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high) {
    refuse(option, `must be a whole number from ${low} to ${high}, not ${String(value)}`)
  }
  return value
}

function oneOf<T extends string>(option: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) refuse(option, `must be one of ${choices.join(', ')}, not ${String(value)}`)
  return value as T
}

/** Volume, source and group names become file names: no path escapes. */
export function checkName(option: string, name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    const said = typeof name === 'string' ? `'${name}'` : String(name)
    refuse(option, `must be 1 to 128 of letters, digits, '.', '_' and '-', not starting with '.': ${said} is not`)
  }
  return name
}

function notYet(option: string, what: string): never {
  refuse(option, `${what} is not there yet in this version`)
}

function checkVolumes(volumes: unknown): VolumeOptions[] {
  if (!Array.isArray(volumes) || volumes.length === 0) refuse('volumes', 'must be a list of at least one volume')
  const names = new Set<string>()
  return volumes.map((volume: VolumeOptions, index) => {
    const option = `volumes[${index}]`
    if (typeof volume !== 'object' || volume === null) refuse(option, 'must be an object with name and size')
    const name = checkName(`${option}.name`, volume.name)
    if (names.has(name)) refuse(`${option}.name`, `is '${name}' a second time`)
    names.add(name)
    whole(`${option}.size`, volume.size, 0, Number.MAX_SAFE_INTEGER)
    if (volume.target !== undefined) checkName(`${option}.target`, volume.target)
    if (volume.directory !== undefined && (typeof volume.directory !== 'string' || volume.directory === '')) {
      refuse(`${option}.directory`, 'must be a directory')
    }
    return volume
  })
}

function checkSecondary(secondary: unknown): CheckedOptions['secondary'] {
  if (secondary === 'discard') return undefined
  if (typeof secondary !== 'object' || secondary === null) {
    refuse('secondary', "must be { directory }, { url } or 'discard'")
  }
  if ('url' in secondary) notYet('secondary.url', 'a remote secondary')
  const { directory, components, confirm = 'journaled', history } = secondary as LocalSecondary
  if (typeof directory !== 'string' || directory === '') refuse('secondary.directory', 'must be a directory')
  return {
    directory: path.resolve(directory),
    components: components === undefined ? 2 : whole('secondary.components', components, 1, 64),
    confirm: oneOf('secondary.confirm', confirm, ['journaled', 'mirrored']),
    history: history === undefined ? undefined : checkHistory(history)
  }
}

function checkHistory(history: unknown): LocalSecondary['history'] {
  const wanted = 'must be { sets } or { ageMs }'
  if (typeof history !== 'object' || history === null) refuse('secondary.history', wanted)
  const { sets, ageMs } = history as { sets?: unknown; ageMs?: unknown }
  if ((sets === undefined) === (ageMs === undefined)) refuse('secondary.history', wanted)
  if (sets !== undefined) return { sets: whole('secondary.history.sets', sets, 1, Number.MAX_SAFE_INTEGER) }
  return { ageMs: whole('secondary.history.ageMs', ageMs, 0, Number.MAX_SAFE_INTEGER) }
}

function checkMirrorContent(options: GroupOptions): Pick<CheckedOptions, 'metadataOnly' | 'refetch'> {
  const { mirrorContent = 'data', refetch } = options
  const metadataOnly = oneOf('mirrorContent', mirrorContent, ['data', 'metadata']) === 'metadata'
  if (metadataOnly && refetch === undefined) refuse('refetch', "is needed with mirrorContent 'metadata'")
  if (refetch === undefined || typeof refetch === 'function') return { metadataOnly, refetch }
  if (!(refetch instanceof URL)) refuse('refetch', 'must be the URL of a module, or a function')
  return { metadataOnly, refetch: refetch.href }
}

/** @throws TidemarkError TIDEMARK_OPTIONS naming the option in `details.option` */
export function checkOptions(options: GroupOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) refuse('options', 'must be an object')
  const { lagTargetMs, takeover, hangTimeoutMs } = options
  const components = whole('components', options.components ?? 3, 2, LARGEST_COMPONENTS)
  return {
    name: options.name === undefined ? 'group' : checkName('name', options.name),
    volumes: checkVolumes(options.volumes),
    components,
    spares: whole('spares', options.spares ?? 1, 0, LARGEST_COMPONENTS),
    // The default is a spare where one is warm, else the survivors: that is what 'spare' does.
    takeover: oneOf('takeover', takeover ?? 'spare', ['spare', 'survivors']),
    hangTimeoutMs: whole('hangTimeoutMs', hangTimeoutMs ?? 1000, 10, 3600_000),
    mirrors: whole('mirrors', options.mirrors ?? 1, 1, components - 1),
    mirrorTarget: oneOf('mirrorTarget', options.mirrorTarget ?? 'spread', ['default', 'spread']),
    ...checkMirrorContent(options),
    ordering: oneOf('ordering', options.ordering ?? 'volume-sequence', [
      'volume-sequence',
      'group-sequence',
      'timestamp'
    ]),
    responsibility: oneOf('responsibility', options.responsibility ?? 'balanced', ['round-robin', 'balanced']),
    lagTargetMs: lagTargetMs === undefined ? undefined : whole('lagTargetMs', lagTargetMs, 20, LARGEST_PERIOD_MS),
    formationPeriodMs: whole('formationPeriodMs', options.formationPeriodMs ?? 1000, 1, LARGEST_PERIOD_MS),
    componentMemoryBytes: whole(
      'componentMemoryBytes',
      options.componentMemoryBytes ?? 256 * MIB,
      SMALLEST_MEMORY,
      LARGEST_MEMORY
    ),
    secondary: checkSecondary(options.secondary),
    spool: checkSpool(options)
  }
}

const SMALLEST_SPOOL = MIB

function checkSpool({ spoolDirectory, spoolLimitBytes, secondary }: GroupOptions): CheckedOptions['spool'] {
  if (spoolDirectory === undefined) {
    if (spoolLimitBytes !== undefined) refuse('spoolLimitBytes', 'needs spoolDirectory')
    return undefined
  }
  if (typeof spoolDirectory !== 'string' || spoolDirectory === '') refuse('spoolDirectory', 'must be a directory')
  if (secondary === 'discard') refuse('spoolDirectory', "is of no use with secondary 'discard': nothing waits for it")
  const { MAX_SAFE_INTEGER } = Number
  const limitBytes = whole('spoolLimitBytes', spoolLimitBytes ?? MAX_SAFE_INTEGER, SMALLEST_SPOOL, MAX_SAFE_INTEGER)
  return { directory: path.resolve(spoolDirectory), limitBytes }
}

const SMALLEST_RING = 4096
const LARGEST_RING = 1024 * MIB
const USUAL_RING = 4 * MIB

export interface CheckedSourceOptions {
  readonly component: number | undefined
  readonly ringBytes: number
}

export function checkSourceOptions(
  options: { component?: number; ringBytes?: number } | undefined
): CheckedSourceOptions {
  const { component, ringBytes } = options ?? {}
  return {
    component,
    ringBytes: whole('ringBytes', ringBytes ?? USUAL_RING, SMALLEST_RING, LARGEST_RING)
  }
}
