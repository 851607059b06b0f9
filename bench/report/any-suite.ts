/** Tables of a result that the report knows nothing about: whatever is in it is there to be read. */
import type { Figures } from './section.ts'

type Fields = Readonly<Record<string, unknown>>
/** Text by column. */
type Row = ReadonlyMap<string, string>

export function tablesOf(suite: string, result: unknown): Figures[] {
  if (!isFields(result)) return [tableOf(suite, Array.isArray(result) ? result : [result])]
  const [lists, others] = [new Map<string, readonly unknown[]>(), new Map<string, unknown>()]
  for (const [name, value] of Object.entries(result)) {
    if (isListOfFields(value)) lists.set(name, value)
    else others.set(name, value)
  }
  const single = rowsOf(Object.fromEntries(others)).flatMap((row) => [...row])
  return [
    ...[...lists].map(([name, list]) => tableOf(`${suite}: ${name}`, list)),
    ...(single.length > 0 ? [{ caption: suite, head: ['what', 'found'], rows: single, left: 2 }] : [])
  ]
}

function tableOf(caption: string, list: readonly unknown[]): Figures {
  const rows = list.flatMap((one) => rowsOf(isFields(one) ? one : { value: one }))
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))]
  const cells = rows.map((row) => columns.map((column) => row.get(column) ?? ''))
  const isNumeric = (_: string, n: number): boolean =>
    cells.every((row) => row[n] === '' || !Number.isNaN(Number(row[n])))
  const firstNumeric = columns.findIndex(isNumeric)
  return { caption, head: columns, rows: cells, left: firstNumeric < 0 ? columns.length : firstNumeric }
}

/** Usually one. A list of objects in it makes one of each, with everything else repeated. */
function rowsOf(fields: Fields): Row[] {
  let rows: Row[] = [new Map()]
  for (const [name, value] of Object.entries(fields)) {
    const parts = isListOfFields(value) ? value.flatMap(rowsOf) : isFields(value) ? rowsOf(value) : undefined
    const added = parts?.map((part) => new Map([...part].map(([inner, text]) => [`${name} ${inner}`, text])))
    rows = rows.flatMap((row) =>
      (added ?? [new Map([[name, textOf(value)]])]).map((part) => new Map([...row, ...part]))
    )
  }
  return rows
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOfFields(value: unknown): value is readonly Fields[] {
  return Array.isArray(value) && value.length > 0 && value.every(isFields)
}

const DIGITS = 6

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS)))
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  return value === undefined ? '' : JSON.stringify(value)
}
