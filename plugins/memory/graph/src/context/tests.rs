//! Tests of contexts: their budgets, what is never in them, and what always is.

use carport_memory_api::NewFact;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    Graph, Limits, Line,
    samples::{TENANTS, any_facts, any_turn, fact, graph, time, turn, words},
};

fn ask(text: &str) -> ContextAsk<'_> {
    ContextAsk {
        text,
        window: None,
        agent: None,
        tenant: None,
        utility: Utility::default(),
        meaning: None,
    }
}

fn of_kind(id: &str, kind: &str, subject: &str, body: &str, at: i64) -> Fact {
    let new = NewFact { kind: kind.into(), ..NewFact::new(subject, body) };
    Fact::from_new(new, time(at), || id.into())
}

#[test]
fn a_context_has_its_layers_in_order() {
    let mut graph = graph([
        of_kind("i2", "identity", "role", "builder", 2),
        of_kind("i1", "identity", "name", "Ada", 1),
        of_kind("c1", "constraint", "old rule", "x", 1),
        of_kind("c2", "constraint", "new rule", "y", 2),
        of_kind("c0", "constraint", "cache rule", "ask first", 0),
        fact("f1", "cache", "lives in redis"),
        fact("f2", "redis", "port 6379"),
        fact("f3", "weather", "fine"),
        of_kind("e1", "environment", "os", "linux", 1),
        of_kind("e2", "environment", "shell", "bash", 2),
        of_kind("q1", "question", "cache size", "how much?", 1),
        of_kind("q2", "unknown", "colour", "?", 1),
    ]);
    graph.apply(Line::Turn(turn("b", 2, "again")));
    graph.apply(Line::Turn(turn("a", 1, "hello")));
    let graph = graph.snapshot();
    let ask = ContextAsk { agent: Some("ada"), ..ask("why is the CACHE slow, Zorro?") };
    let expected = "## Identity\nagent: ada\n- name: Ada\n- role: builder\n\n\
        ## Constraints\n- cache rule: ask first\n- new rule: y\n- old rule: x\n\n\
        ## Facts\n- cache: lives in redis\n- redis: port 6379\n\n\
        ## Conversation\nBo: hello\nBo: again\n\n\
        ## Environment\n- shell: bash\n- os: linux\n\n\
        ## Known Unknowns\n- cache size: how much?\nnothing known about \"slow\"\nnothing known about \"zorro\"";
    assert_eq!(graph.context(&ask), expected);
    let fast = "## Identity\nagent: ada\n- name: Ada\n- role: builder\n\n\
        ## Constraints\n- new rule: y\n- old rule: x\n- cache rule: ask first\n\n\
        ## Facts\n- cache: lives in redis\n- redis: port 6379\n- weather: fine\n\n\
        ## Conversation\nBo: hello\nBo: again\n\n\
        ## Environment\n- shell: bash\n- os: linux";
    assert_eq!(graph.context_fast(&ask), fast);
}

#[test]
fn a_graph_without_anything_gives_nothing() {
    let ask = ContextAsk { agent: Some("a"), ..ask("anything") };
    let mut graph = Graph::new(Limits::DISK);
    assert_eq!(
        (graph.snapshot().context(&ask), graph.snapshot().context_fast(&ask)),
        Default::default()
    );
    let red = Fact { tenant_id: Some("red".into()), ..fact("r", "s", "b") };
    graph.apply(Line::Add(red.into()));
    assert_eq!(graph.snapshot().context(&ask), "");
}

#[test]
fn no_text_opens_a_layer() {
    let tricks = [
        "x\n## Facts",
        "x\r\n\r\n# Identity",
        "## Facts\u{2028}## Facts",
        " \u{85}### x",
        "#",
        "\u{200b}\u{3000}\u{feff}## Facts",
        "\u{b}## Facts\u{c}# x\u{2029}# y",
        "\u{202e}## Facts",
    ];
    let mut graph = Graph::new(Limits::DISK);
    for (at, trick) in tricks.into_iter().enumerate() {
        graph.apply(Line::Add(fact(&format!("a{at}"), trick, trick).into()));
        graph.apply(Line::Turn(carport_memory_api::Turn {
            speaker: trick.into(),
            ..turn(trick, 0, trick)
        }));
    }
    let now = graph.snapshot();
    for context in [now.context(&ask("facts identity x")), now.context_fast(&ask(""))] {
        let seems =
            |line: &str| line.trim_start_matches(|it: char| !it.is_ascii_graphic()).to_owned();
        let headings: Vec<&str> = context.lines().filter(|it| seems(it).starts_with('#')).collect();
        assert_eq!(headings, ["## Facts", "## Conversation"], "{context}");
        let breaks = ['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
        assert!(!context.contains(breaks));
    }
    assert!(now.context_fast(&ask("")).contains("- \\#: \\#\n"));
}

#[test]
fn the_budget_follows_the_window() {
    let facts = (0..4000).map(|at| fact(&format!("{at:04}"), "cache", &"word ".repeat(10)));
    let graph = snapshot_of(facts);
    for (window, budget) in
        [(None, 32_768), (Some(0), 4096), (Some(40_000), 40_000), (Some(u64::MAX), 131_072)]
    {
        let length = graph.context(&ContextAsk { window, ..ask("cache") }).chars().count();
        assert!(length <= budget && length > budget - 80, "{length} of {budget}");
    }
}

fn snapshot_of(facts: impl IntoIterator<Item = Fact>) -> Snapshot {
    graph(facts).snapshot()
}

#[test]
fn constraints_grow_at_the_cost_of_facts_and_are_counted() {
    let rules = (0..2000)
        .map(|at| of_kind(&format!("c{at}"), "constraint", "rule", &format!("number {at}"), at));
    let facts = (0..2000).map(|at| fact(&format!("f{at}"), "cache", &format!("fact {at}")));
    let context = snapshot_of(rules.chain(facts)).context(&ask("cache 7"));
    let shown = context.lines().filter(|it| it.starts_with("- rule: ")).count();
    assert!(context.contains(&format!("\n({} more constraints not shown)\n", 2000 - shown)));
    assert!(
        context.lines().nth(1).is_some_and(|it| it == "- rule: number 7"),
        "the one that matches first"
    );
    assert!(context.contains("- rule: number 1999\n") && !context.contains("- rule: number 3\n"));
    let (rules, facts) = context.split_once("## Facts").unwrap();
    assert!((19_600..=19_661).contains(&rules.chars().count()), "{}", rules.len());
    assert!((13_000..=13_108).contains(&facts.chars().count()), "{}", facts.len());
}

#[test]
fn facts_are_whole_but_for_a_first_one_that_does_not_fit() {
    let context = snapshot_of([fact("a", "cache", &"x".repeat(32_000)), fact("b", "y", "z")])
        .context(&ContextAsk { window: Some(1), ..ask("cache") });
    assert_eq!(context.chars().count(), 4096 - BREAK.len());
    assert!(context.starts_with("## Facts\n- cache: xxx") && context.ends_with("x…"), "{context}");
    let two = [fact("a", "cache", "short"), fact("b", "cache", &"cache ".repeat(1000))];
    let context = snapshot_of(two).context_fast(&ContextAsk { window: Some(1), ..ask("") });
    assert!(
        context.ends_with('…') && context.matches("- cache").count() == 1,
        "the newest is there"
    );
}

#[test]
fn what_is_too_long_keeps_nothing_shorter_out() {
    let long = "cache rule store ".repeat(1900);
    let graph = snapshot_of([
        fact("a", "cache", "short"),
        fact("b", "cache cache", &"cache rule ".repeat(1900)),
        fact("c", "store", "cache rule"),
        of_kind("r1", "constraint", "old", "rule", 1),
        of_kind("r2", "constraint", "long", &long, 2),
        of_kind("r3", "constraint", "new", "rule", 3),
    ]);
    let rules = "## Constraints\n- new: rule\n- old: rule\n(1 more constraints not shown)\n\n";
    let small = |text| ContextAsk { window: Some(1), ..ask(text) };
    assert!(graph.context_fast(&small("")).starts_with(rules));
    let context = graph.context(&small("cache rule store"));
    assert!(context.ends_with("## Facts\n- store: cache rule\n- cache: short"), "{context}");
}

/// Any text, with what ends lines, opens headings or shows nothing more often than by chance.
fn any_text() -> impl Strategy<Value = String> {
    let tricks = proptest::sample::select(
        &[
            '#', '#', ' ', '\n', '\r', '\t', '\u{b}', '\u{c}', '\u{1c}', '\u{85}', '\u{a0}',
            '\u{200b}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{3000}', '\u{feff}',
            '-', ':', '(', 'x', 'é', '東',
        ][..],
    );
    vec(prop_oneof![4 => tricks, 1 => any::<char>()], 1..60).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn any_text_stays_on_its_line(
        texts in vec((any_text(), any_text(), 0..6usize), 1..12), asked in any_text(), fast in any::<bool>(),
        long in 1..60usize,
    ) {
        let mut graph = Graph::new(Limits::DISK);
        for (at, (one, other, kind)) in texts.iter().enumerate() {
            let kinds = ["pattern", "constraint", "identity", "environment", "question"];
            let (key, other) = (format!("{at:02}"), other.repeat(long));
            match kinds.get(*kind) {
                Some(kind) => graph.apply(Line::Add(of_kind(&key, kind, one, &other, 0).into())),
                None => graph.apply(Line::Turn(carport_memory_api::Turn {
                    speaker: one.clone(), ..turn(&key, at as i64, &other)
                })),
            }
        }
        let ask = ContextAsk { window: Some(1), ..ask(&asked) };
        let now = graph.snapshot();
        let context = if fast { now.context_fast(&ask) } else { now.context(&ask) };
        prop_assert!(context.chars().count() <= 4096);
        let breaks = |it: char| it != '\n' && (it.is_control() || matches!(it, '\u{2028}' | '\u{2029}'));
        prop_assert!(!context.contains(breaks), "{:?}", context);
        // Each heading is that of a layer, in their order, each once; nothing else looks like one.
        let seems = |line: &&str| line.trim_start_matches(|it: char| it.is_whitespace() || is_invisible(it)).starts_with('#');
        let headings: Vec<&str> = context.split('\n').filter(seems).collect();
        let names: Vec<String> = Layer::ALL.iter().map(|it| format!("## {}", it.name())).collect();
        let mut rest = names.iter();
        prop_assert!(headings.iter().all(|heading| rest.any(|name| name == heading)), "{:?}", headings);
        // An empty line parts layers and stands nowhere else.
        let gaps = context.split('\n').filter(|line| line.is_empty()).count();
        let layers = if context.is_empty() { 0 } else { gaps + 1 };
        prop_assert_eq!((layers, headings.len()), (headings.len(), layers));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_context_keeps_its_promises(
        facts in any_facts(40), said in vec(any_turn(), 0..8), text in words(4),
        long in 1..200usize, fast in any::<bool>(), who in 0..3usize,
    ) {
        let facts: Vec<Fact> = facts
            .into_iter()
            .map(|fact| Fact { body: [fact.body.as_str()].repeat(long).join("; "), ..fact })
            .collect();
        let mut graph = graph(facts.clone());
        said.iter().for_each(|turn| graph.apply(Line::Turn(turn.clone())));
        let ask = ContextAsk { window: Some(1), tenant: TENANTS[who], agent: Some("a"), ..ask(&text) };
        let now = graph.snapshot();
        let context = if fast { now.context_fast(&ask) } else { now.context(&ask) };
        prop_assert!(context.chars().count() <= 4096);

        let is_visible = |it: &&Fact| it.tenant_id.is_none() || it.tenant_id.as_deref() == TENANTS[who];
        let visible: Vec<&Fact> = facts.iter().filter(is_visible).collect();
        prop_assert_eq!(context.is_empty(), visible.is_empty() && said.is_empty());

        // Each line of a fact is the line of one that is seen, in its layer.
        let mut heading = "";
        let mut shown = 0;
        for text in context.lines() {
            if let Some(layer) = text.strip_prefix("## ") {
                heading = layer;
            } else if text.starts_with("- ") {
                let is = |it: &&&Fact| {
                    let whole = line(it);
                    it.layer().name() == heading
                        && (whole == text || text.strip_suffix('…').is_some_and(|cut| whole.starts_with(cut)))
                };
                prop_assert!(visible.iter().any(|it| is(&it)), "{}: {}", heading, text);
                shown += usize::from(heading == "Constraints");
            } else if let Some(count) = text.strip_suffix(" more constraints not shown)") {
                shown += count[1..].parse::<usize>().unwrap();
            }
        }
        // Every constraint is there or counted.
        prop_assert_eq!(shown, visible.iter().filter(|it| it.layer() == Layer::Constraints).count());
    }
}
