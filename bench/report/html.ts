/** Text that is HTML already. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Insert = string | number | Markup | readonly Insert[]

/** A template whose inserts are escaped where they are not HTML already; lists are put one after another. */
export function html(parts: TemplateStringsArray, ...inserts: readonly Insert[]): Markup {
  return new Markup(String.raw({ raw: parts }, ...inserts.map(render)))
}

function render(insert: Insert): string {
  if (insert instanceof Markup) return insert.text
  if (typeof insert === 'object') return insert.map(render).join('')
  return escapeHtml(String(insert))
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
}
