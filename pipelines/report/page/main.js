"use strict";
// Opens the page: numbers first, then the list; the address after # says what is looked at.

const BROWSED = "trajectories"; // #t=ID: one of them
const COMPARED = "duplicates"; // #d=ID: one of them beside the one in its place
const ITEMS = new Map([["t", BROWSED], ["d", COMPARED]]);

async function openPage() {
  const overview = await unpack("overview");
  const title = overview.selection === null ? `Lake ${overview.lake}` : `Selection ${overview.selection}`;
  document.title = `${seen(title)} · trajectory report`;
  document.getElementById("title").replaceChildren(seen(title));
  document.getElementById("subtitle").replaceChildren(subtitle(overview));
  const rows = rowsOf(await unpack("index"));
  const cards = new Cards(overview.part_starts, overview.embedded);
  const go = (list, item) => (id) => {
    location.hash = id === null ? list : `${item}=${id}`;
  };
  const browser = new Browser(rows, cards, go(BROWSED, "t"));
  const pairs = new Pairs(browser, go(BROWSED, "t"), go(COMPARED, "d"));
  const show = (values) => {
    browser.filterBy(values);
    location.hash = BROWSED;
  };
  const sections = new Map([
    ["overview", { label: "Overview", element: overviewView(overview, show) }],
    [BROWSED, { label: `Trajectories ${count(rows.length)}`, element: browser.element, reader: browser }],
    [COMPARED, { label: `Duplicates ${count(pairs.pairs.length)}`, element: pairs.element, reader: pairs }],
  ]);
  const route = () => follow(sections);
  buildTabs(sections);
  window.addEventListener("hashchange", route);
  route();
}

function subtitle({ lake, commit, made_at: made, trajectories, embedded }) {
  const some = embedded < trajectories ? ` · ${count(embedded)} of them to browse` : "";
  return `${count(trajectories)} trajectories${some} · ${seen(lake)} at commit ${commit} · ${made.slice(0, 16).replace("T", " ")} UTC`;
}

/** Rows as objects; `row` is the position among the cards, `short` what is searched first. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  return columns.id.map((_, row) => {
    const values = Object.fromEntries(names.map((name) => [name, columns[name][row]]));
    values.row = row;
    values.short = [values.id, values.question, values.answer].filter(Boolean).join("\n\u0000\n").toLowerCase();
    return values;
  });
}

function buildTabs(sections) {
  const tabs = document.getElementById("tabs");
  for (const [name, section] of sections) {
    section.tab = el("a", "", section.label);
    section.tab.href = `#${name}`;
    tabs.append(section.tab);
    section.element.hidden = true;
    document.getElementById("main").append(section.element);
  }
  tabs.hidden = false;
}

function follow(sections) {
  const [head, id] = location.hash.slice(1).split("=");
  const name = ITEMS.get(head) ?? (sections.has(head) ? head : "overview");
  for (const [each, { tab, element }] of sections) {
    if (each === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    element.hidden = each !== name;
  }
  const { element, reader } = sections.get(name);
  element.classList.toggle("reading", id !== undefined);
  document.body.classList.toggle("fixed", reader !== undefined);
  if (id !== undefined && reader) reader.open(id);
}

function overviewView(overview, show) {
  const view = el("div", "overview");
  for (const each of overview.funnels) view.append(funnelView(each, overview.selection !== null, show));
  if (!overview.funnels.length) view.append(section("Decisions", "No selection yet: `toolkit filter RECIPE` makes one."));
  const charts = el("div", "grid");
  const draw = (name) => charts.replaceChildren(...chartsOf(overview.views[name], name, show));
  if (overview.views.kept) view.append(switchView([["all", `all ${count(overview.trajectories)}`], ["kept", `kept ${count(overview.kept)}`]], draw));
  view.append(charts);
  draw("all");
  return view;
}

function switchView(choices, draw) {
  const group = el("div", "switch");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "which trajectories the charts are about");
  choices.forEach(([name, label], place) => {
    const choice = button("", label, () => {
      for (const each of group.children) each.setAttribute("aria-pressed", String(each === choice));
      draw(name);
    });
    choice.setAttribute("aria-pressed", String(place === 0));
    group.append(choice);
  });
  return group;
}

function funnelView(selection, filters, show) {
  const whole = selection.n_input;
  const line = (label, text, left, dropped, value, onClick) => {
    const title = el("span", "label", said("b", "", label), text ? said("span", "rule-text", text) : null);
    const cells = [title, bar([["kept", left], ["out", dropped]], whole || 1), el("span", "value", value)];
    return onClick ? button("bar-row", cells, onClick) : el("div", "bar-row", ...cells);
  };
  const rules = selection.rules.map((rule) => {
    const masked = rule.masked_steps ? `, ${counted(rule.masked_steps, "step")} masked` : "";
    const favoured = rule.in_favour_of ? ` for ${count(rule.in_favour_of)} others` : "";
    const value = `− ${count(rule.dropped)}${favoured}${masked} → ${count(rule.left)}`;
    const click = filters && rule.dropped ? () => show({ fate: `dropped by ${rule.rule}` }) : null;
    return line(rule.rule, rule.text, rule.left, rule.dropped, value, click);
  });
  const click = filters ? () => show({ fate: "kept" }) : null;
  return section(
    filters ? "What became of every trajectory" : `Selection ${selection.name}`,
    `made from commit ${selection.input_commit}, content ${selection.content_hash}${since(selection)}`,
    el(
      "div",
      "bars funnel",
      line("decided on", "", whole, 0, count(whole), null),
      ...rules,
      line("kept", "", selection.n_kept, 0, `${count(selection.n_kept)} · ${share(selection.n_kept, whole)}`, click),
    ),
    legend([["kept", "left"], ["out", "dropped here"]]),
  );
}

/** What the selection does not know of, since it was made earlier. */
function since({ n_later: later, n_retried: retried }) {
  const late = later ? `; ${counted(later, "trajectory", "trajectories")} came later and have no decision` : "";
  return late + (retried ? `; ${counted(retried, "trajectory was", "trajectories were")} run again since, and cards show the newer attempt` : "");
}

const RATES = ["0 %", "<25 %", "25–49 %", "50–74 %", "75–99 %", "100 %"];

function chartsOf(view, name, show) {
  const only = name === "kept" ? { fate: "kept" } : {};
  const verdictRows = (rows, label, click) =>
    rows.map((row) => ({
      label: label(row),
      parts: verdictParts(row),
      value: `${count(row.trajectories)} · ${rightShare(row)}`,
      title: `${label(row)}: ${verdictTitle(row)}`,
      onClick: click ? () => show({ ...only, ...click(row) }) : null,
    }));
  const bySize = view.datasets.map((row) => ({ ...row, name: `${row.dataset} ${row.kind} ${row.role}` }));
  return [
    section("Datasets", "trajectories by dataset, kind and role", datasetTable(bySize)),
    section("Steps", "trajectories by number of steps", histogram(view.steps), legend(VERDICTS)),
    section("Tokens written", "trajectories by tokens of all completions", histogram(view.tokens), legend(VERDICTS)),
    section("Errors", "steps by what went wrong", errorBars(view.errors, (kind) => show({ ...only, error: kind }))),
    section("Difficulty", "questions by the share of graded samples that are right", ...difficulty(view.difficulty)),
    section("Tools", "calls, and how many failed", toolBars(view.tools)),
    section("Sources", "where trajectories come from", bars(verdictRows(view.sources, sourceName)), legend(VERDICTS)),
    section("Endings", "why rollouts stopped", bars(verdictRows(view.stops, (row) => row.name)), legend(VERDICTS)),
  ];
}

function rightShare(row) {
  const graded = row.trajectories - row.undecided;
  return graded ? `${share(row.correct, graded)} right` : "not graded";
}

function datasetTable(rows) {
  return table(rows, [
    ["dataset", (row) => row.dataset],
    ["kind", (row) => row.kind],
    ["role", (row) => row.role],
    ["trajectories", (row) => row.trajectories],
    ["questions", (row) => row.tasks],
    ["right", (row) => row.correct],
    ["steps", (row) => row.steps],
    ["tool calls", (row) => row.tool_calls],
  ]);
}

function sourceName(row) {
  return [row.source, row.origin, row.dialect, row.license].filter(Boolean).join(" · ");
}

function difficulty(rows) {
  if (!rows.length) return [el("p", "empty", "nothing is graded: `toolkit score` does it")];
  return [...new Set(rows.map((row) => row.kind))].flatMap((kind) => {
    const mine = rows.filter((row) => row.kind === kind);
    const [tasks, samples] = ["tasks", "samples"].map((name) => mine.reduce((sum, row) => sum + row[name], 0));
    const list = RATES.map((label, bin) => {
      const number = mine.find((row) => row.bin === bin)?.tasks ?? 0;
      return { label, parts: [["kept", number]], value: number ? short(number) : "", title: `${label} right: ${counted(number, "question")}` };
    });
    return [el("h3", "", kind, el("small", "", `${counted(tasks, "question")}, ${(samples / tasks).toFixed(1)} samples each`)), columns(list)];
  });
}

function errorBars(rows, click) {
  const failed = rows.filter((row) => row.name !== "none");
  const steps = rows.reduce((sum, row) => sum + row.steps, 0);
  const wrong = failed.reduce((sum, row) => sum + row.steps, 0);
  return el(
    "div",
    "",
    el("p", "note", `${count(wrong)} of ${counted(steps, "step")} failed (${share(wrong, steps)})`),
    bars(failed.map((row) => ({
      label: row.name,
      parts: [["wrong", row.steps]],
      value: `${counted(row.steps, "step")} in ${count(row.trajectories)}`,
      title: `${row.name}: in ${count(row.trajectories)} trajectories`,
      onClick: () => click(row.name),
    }))),
  );
}

function toolBars(rows) {
  if (!rows.length) return el("p", "empty", "no tool was called");
  return bars(rows.map((row) => ({
    label: row.name,
    parts: [["kept", row.calls - row.failed], ["wrong", row.failed]],
    value: `${counted(row.calls, "call")}${row.failed ? `, ${count(row.failed)} failed` : ""}`,
    title: `${row.name}: in ${count(row.trajectories)} trajectories`,
  })));
}

openPage().catch((error) => {
  document.getElementById("subtitle").textContent = `This page could not be opened: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
