// Random documents over a schema: valid ones, and the same ones made invalid in one place.

import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from "graphql";

/** A small generator of numbers that a seed determines. */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return {
    below: (count) => Math.floor(next() * count),
    chance: (share) => next() < share,
    one: (list) => list[Math.floor(next() * list.length)],
  };
}

/** Most levels of fields inside each other. */
const LEVELS = 5;

/** What introspection is asked for: both sides know the same of it. */
const META = [
  ["__type", '__type(name: "Job") { name kind fields { name type { kind name } } }'],
  ["__schema", "__schema { queryType { name } mutationType { name } subscriptionType { name } }"],
];

/** One document: its text, its variables, and the kind of its operation. */
export class Generator {
  constructor(schema, rng, ids) {
    Object.assign(this, { schema, rng, ids });
  }

  document() {
    const { rng } = this;
    this.kind = rng.one(["query", "query", "query", "query", "mutation", "subscription"]);
    this.definitions = [];
    this.variables = {};
    this.fragments = [];
    this.aliases = 0;
    this.budget = 60;
    const root = this.schema.getRootType(this.kind);
    const selections = this.kind === "subscription" ? this.field(root, rng.one(["onJob", "onJobs"]), 0) : this.selections(root, 0);
    const definitions = this.definitions.length > 0 ? `(${this.definitions.join(", ")})` : "";
    const name = rng.chance(0.5) ? " Asked" : "";
    const head = this.kind === "query" && !name && !definitions ? "" : `${this.kind}${name}${definitions} `;
    const fragments = this.fragments.map(({ text }) => text);
    const parts = [`${head}{ ${selections} }`, ...fragments];
    if (rng.chance(0.3)) parts.reverse();
    return { text: parts.join("\n"), variables: this.variables, kind: this.kind, name: name ? "Asked" : undefined };
  }

  selections(type, level) {
    const { rng } = this;
    const parts = [];
    const count = 1 + rng.below(5);
    for (let at = 0; at < count; at += 1) {
      this.budget -= 1;
      const way = this.budget < 0 ? 1 : rng.below(20);
      if (way === 0 && level < LEVELS) {
        const on = rng.chance(0.5) ? ` on ${type.name}` : "";
        parts.push(`...${on}${this.directives()} { ${this.selections(type, level + 1)} }`);
      } else if (way <= 2 && way > 0 && level < LEVELS && this.budget > 0) {
        parts.push(`...${this.fragment(type, level)}${this.directives()}`);
      } else if (way === 3) {
        parts.push(`${this.alias()}__typename${this.directives()}`);
      } else if (way === 4 && type.name === "Query") {
        parts.push(rng.one(META)[1]);
      } else {
        const names = Object.keys(type.getFields()).filter((name) => this.fits(type, name, level));
        parts.push(names.length > 0 ? this.field(type, rng.one(names), level) : "__typename");
      }
    }
    return parts.join(" ");
  }

  fits(type, name, level) {
    return level < LEVELS - 1 || isLeafType(getNamedType(type.getFields()[name].type));
  }

  field(type, name, level) {
    const { rng } = this;
    const field = type.getFields()[name];
    const share = (argument) => (argument.name === "nextToken" ? 0.02 : 0.4);
    const given = field.args.filter((argument) => (isNonNullType(argument.type) && argument.defaultValue === undefined) || rng.chance(share(argument)));
    const shown = given.map((argument) => `${argument.name}: ${this.value(argument.type, argument.name, argument.defaultValue !== undefined)}`);
    const below = getNamedType(field.type);
    // Fields with arguments get their own keys: fields with the same key must have the same
    // arguments.
    const alias = field.args.length > 0 || rng.chance(0.15) ? this.alias(true) : "";
    const args = shown.length > 0 ? `(${shown.join(", ")})` : "";
    const selections = isObjectType(below) ? ` { ${this.selections(below, level + 1)} }` : "";
    return `${alias}${name}${args}${this.kind === "subscription" && level === 0 ? "" : this.directives()}${selections}`;
  }

  alias(always = false) {
    if (!always && this.rng.chance(0.7)) return "";
    this.aliases += 1;
    return `a${this.aliases}: `;
  }

  fragment(type, level) {
    const known = this.fragments.filter((one) => one.type === type.name && one.done);
    if (known.length > 0 && this.rng.chance(0.5)) return this.rng.one(known).name;
    const fragment = { name: `F${this.fragments.length}`, type: type.name, done: false };
    this.fragments.push(fragment);
    fragment.text = `fragment ${fragment.name} on ${type.name} { ${this.selections(type, level + 1)} }`;
    fragment.done = true;
    return fragment.name;
  }

  directives() {
    const { rng } = this;
    const shown = [];
    for (const name of ["skip", "include"]) {
      if (rng.chance(0.07)) shown.push(` @${name}(if: ${rng.chance(0.5) ? rng.chance(0.5) : this.condition()})`);
    }
    return shown.join("");
  }

  condition() {
    const type = this.schema.getType("Boolean");
    return this.variable("Boolean!", this.rng.chance(0.5), type, true);
  }

  variable(type, value, _named, always = false) {
    const name = `v${this.definitions.length}`;
    const optional = !always && this.rng.chance(0.2);
    this.definitions.push(`$${name}: ${type}`);
    if (!optional || type.endsWith("!")) this.variables[name] = value;
    return `$${name}`;
  }

  /** A value as it is written, sometimes as a variable. */
  value(type, name, hasDefault = false) {
    const { rng } = this;
    if (rng.chance(0.25)) {
      const value = this.json(type, name);
      if (value !== null || !hasDefault) return this.variable(String(type), value);
    }
    const nullable = getNullableType(type);
    if (nullable === type && !hasDefault && rng.chance(0.05)) return "null";
    if (isListType(nullable)) {
      if (rng.chance(0.2)) return this.value(nullable.ofType, name);
      return `[${[0, 1].slice(rng.below(2)).map(() => this.value(nullable.ofType, name)).join(", ")}]`;
    }
    if (isInputObjectType(nullable)) {
      const fields = this.given(nullable).map((field) => `${field.name}: ${this.value(field.type, field.name)}`);
      return `{${fields.join(", ")}}`;
    }
    const value = this.json(isNonNullType(type) ? type : { ofType: nullable }, name);
    if (isEnumType(nullable)) return value;
    if (typeof value === "string" && rng.chance(0.1)) return `"""${value}"""`;
    return JSON.stringify(value);
  }

  /** Input fields: at most two, and the required ones. Operators that refuse null get none. */
  given(type) {
    const all = Object.values(type.getFields());
    const needed = all.filter((field) => isNonNullType(field.type) && field.defaultValue === undefined);
    const others = all.filter((field) => !needed.includes(field) && this.allowed(type, field));
    return [...new Set([...needed, this.rng.one(others), this.rng.one(others)].slice(0, needed.length + 1 + this.rng.below(2)))];
  }

  allowed(type, field) {
    if (type.name === "JobFilter") return ["type", "status"].includes(field.name);
    if (type.name.endsWith("Filter")) return ["eq", "ne"].includes(field.name);
    return true;
  }

  json(type, name) {
    const { rng } = this;
    const nullable = type.ofType && !isListType(type) ? type.ofType : type;
    if (nullable === type && rng.chance(0.1)) return null;
    if (isListType(nullable)) return rng.chance(0.2) ? this.json(this.must(nullable.ofType), name) : [this.json(nullable.ofType, name)];
    if (isInputObjectType(nullable)) {
      return Object.fromEntries(this.given(nullable).map((field) => [field.name, this.json(field.type, field.name)]));
    }
    if (isEnumType(nullable)) return rng.one(nullable.getValues()).name;
    switch (nullable.name) {
      case "ID":
        return rng.one(this.ids);
      case "Int":
        return name === "after" ? rng.below(4) : 10 + rng.below(40);
      case "Boolean":
        return rng.chance(0.5);
      case "AWSDateTime":
        return "2026-01-01T00:00:00.000Z";
      case "AWSJSON":
        return rng.one(["{}", '{"a":[1,null]}', "7"]);
      default:
        return rng.one(["approval", "zzz", "a b", "é😀"]);
    }
  }

  must(type) {
    return isNonNullType(type) ? type : { ofType: type };
  }
}

/** Ways of breaking a document; some leave it valid. */
const WAYS = [
  (text, rng) => replaced(text, rng, /\b[a-z][A-Za-z]*\b/g, (name) => `${name}x`),
  (text, rng) => replaced(text, rng, /\b[a-z][A-Za-z]*\b/g, () => rng.one(["id", "status", "items", "steps", "__typename", "nope"])),
  (text, rng) => replaced(text, rng, / on [A-Za-z]+/g, () => ` on ${rng.one(["Job", "Step", "Query", "JobStatus", "Nope", "JobFilter", "String"])}`),
  (text, rng) => replaced(text, rng, /\$v\d+/g, () => `$v${rng.below(4)}`),
  (text, rng) => replaced(text, rng, /: ([A-Z][A-Za-z]*|\[[A-Za-z!]+\])!?/g, () => `: ${rng.one(["ID", "ID!", "Int", "[ID!]", "Job", "JobFilter", "Nope", "String!", "Boolean"])}`),
  (text, rng) => replaced(text, rng, /\([^()]*\)/g, () => ""),
  (text, rng) => replaced(text, rng, /\(([^()]*)\)/g, (all) => `${all.slice(0, -1)}, ${rng.one(['id: "1"', "limit: 3", "if: true", "nope: 1"])})`),
  (text, rng) => replaced(text, rng, /"[^"]*"|\b\d+\b|\btrue\b/g, () => rng.one(["1", "1.5", '"x"', "null", "RUNNING", '"RUNNING"', "[1]", "{}", "{eq: 1, eq: 2}", "3000000000", "true", "-0", '"\\u00e9"'])),
  (text, rng) => replaced(text, rng, /\{ /g, () => `{ ${rng.one(["__typename", "id", "...F0", "...Nope", "... on Job { id }", "a1: __typename", "... @skip(if: true) { __typename }"])} `),
  (text, rng) => replaced(text, rng, / \{ /g, () => ` ${rng.one(["@skip(if: true)", "@include(if: $v0)", "@nope", "@skip", "@deprecated", "@skip(if: true) @skip(if: false)", "@include(if: 1)"])} { `),
  (text, rng) => replaced(text, rng, /\{[^{}]*\}/g, () => rng.one(["", "{ }", "{ __typename }"])),
  (text, rng) => `${text} ${rng.one(["query Other { __typename }", "{ __typename }", "fragment F0 on Job { id }", "fragment U on Query { __typename }", "query Asked { __typename }", "subscription S { onJobs { kind } __typename }", "type T { a: Int }", "}"])}`,
  (text, rng) => replaced(text, rng, /[{}()\[\]:$!@"]/g, () => rng.one(["", "{", "}", "(", "!", "$", "&", "|", "...", "\\", "#", "%"])),
  (text, rng) => replaced(text, rng, /: (?=[A-Z])/g, () => ": ["),
  (text, rng) => replaced(text, rng, /(\$v\d+: [A-Za-z!\[\]]+)/g, (all) => `${all} = ${rng.one(["null", "1", '"x"', "true", "[]", "{}", "$v0", "RUNNING"])}`),
  (text, rng) => replaced(text, rng, /(\$v\d+: [A-Za-z!\[\]]+)/g, (all) => `${all}, ${all}`),
];

function replaced(text, rng, pattern, by) {
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) return text;
  const match = rng.one(found);
  return text.slice(0, match.index) + by(match[0]) + text.slice(match.index + match[0].length);
}

/** The document broken in one place. */
export function broken(text, rng) {
  return rng.one(WAYS)(text, rng);
}

/** Variables with one that is wrong, missing or too many. */
export function brokenVariables(variables, rng) {
  const names = Object.keys(variables);
  const copy = { ...variables };
  if (names.length === 0) return { v0: 1 };
  const name = rng.one(names);
  if (rng.chance(0.3)) delete copy[name];
  else copy[name] = rng.one([null, 1, "x", true, [], {}, [null], { eq: null }, { nope: 1 }, 1.5, 3000000000, "RUNNING", { status: { eq: "NOPE" } }]);
  return copy;
}
