//! How good the ranking is, measured on questions whose answers are known: by words alone, and with the
//! walk. `cargo test -p carport-memory-graph quality -- --nocapture` prints the measures.

use super::{lexical::Lexical, view::View, *};
use crate::samples::{ask, fact, snapshot};

/// Answers that are looked at.
const DEEP: usize = 10;

/// A question, and the ids of the facts that answer it.
struct Case {
    text: String,
    answers: Vec<String>,
}

/// Means over cases.
#[derive(Debug, Clone, Copy, Default)]
struct Measures {
    recall_at_5: f64,
    mrr: f64,
    ndcg_at_10: f64,
}

fn name(of: &str, at: usize) -> String {
    const SOUNDS: [&str; 8] = ["ba", "ko", "ri", "tu", "ne", "sa", "lo", "mi"];
    let syllables = [at % 8, at / 8 % 8, at / 64 % 8, (at * 5 + 3) % 8];
    format!("{of}{}", syllables.map(|it| SOUNDS[it]).concat())
}

/// Services that teams own, teams that people lead, people who live somewhere, and what else is said
/// of them.
fn world() -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add =
        |id: String, subject: String, body: String| facts.push(fact(&id, &subject, &body));
    for at in 0..240 {
        let service = name("s", at);
        let team = name("t", at % 60);
        add(format!("owner-{at}"), format!("{service} service"), format!("is owned by {team}"));
        let language = ["rust", "go", "java", "python"][at % 4];
        add(
            format!("language-{at}"),
            format!("{service} service"),
            format!("is written in {language}"),
        );
        add(format!("incident-{at}"), "incident".into(), format!("{service} was down on day {at}"));
    }
    for at in 0..60 {
        let (team, person) = (name("t", at), name("p", at));
        add(format!("lead-{at}"), format!("team {team}"), format!("the lead is {person}"));
        add(format!("size-{at}"), format!("team {team}"), format!("has {} members", at % 9 + 3));
        add(format!("home-{at}"), person.clone(), format!("lives in {}", name("c", at % 20)));
        add(format!("hobby-{at}"), person, format!("likes {}", name("h", at % 15)));
    }
    facts
}

/// Questions whose answer holds words of theirs that no other fact has together.
fn single_hop() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |text: String, answer: String| cases.push(Case { text, answers: vec![answer] });
    for at in 0..60 {
        add(format!("Who is the lead of team {}?", name("t", at)), format!("lead-{at}"));
        add(format!("Where does {} live?", name("p", at)), format!("home-{at}"));
        add(format!("Which team owns the {} service?", name("s", at)), format!("owner-{at}"));
    }
    cases
}

/// Questions whose answer shares no rare word with them: another fact leads to it.
fn multi_hop() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add =
        |text: String, answers: [String; 2]| cases.push(Case { text, answers: answers.into() });
    for at in 0..60 {
        let service = name("s", at);
        let answers = [format!("owner-{at}"), format!("lead-{at}")];
        add(format!("Who is the lead of those who own {service}?"), answers);
        let answers = [format!("lead-{at}"), format!("home-{at}")];
        add(format!("In which city does the head of {} live?", name("t", at)), answers);
    }
    cases
}

fn measure(cases: &[Case], rank: impl Fn(&str) -> Vec<String>) -> Measures {
    let mut sums = Measures::default();
    for case in cases {
        let found = rank(&case.text);
        let gains: Vec<bool> =
            found.iter().take(DEEP).map(|id| case.answers.contains(id)).collect();
        let hits = gains.iter().take(5).filter(|it| **it).count();
        sums.recall_at_5 += hits as f64 / case.answers.len() as f64;
        sums.mrr += gains.iter().position(|it| *it).map_or(0.0, |at| 1.0 / (at + 1) as f64);
        let discount = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let gained: f64 =
            gains.iter().enumerate().filter(|it| *it.1).map(|it| discount(it.0)).sum();
        sums.ndcg_at_10 += gained / (0..case.answers.len()).map(discount).sum::<f64>();
    }
    let mean = |sum: f64| sum / cases.len() as f64;
    Measures {
        recall_at_5: mean(sums.recall_at_5),
        mrr: mean(sums.mrr),
        ndcg_at_10: mean(sums.ndcg_at_10),
    }
}

/// The ranking without its walk.
fn by_words(graph: &Snapshot, text: &str) -> Vec<String> {
    let view = View::new(graph, None, false);
    let lexical = Lexical::of(&view, &Asked::of(text));
    let most = lexical.found.iter().map(|doc| lexical.bm25[*doc as usize]).fold(0.0, f64::max);
    let weights = Weights::default();
    let mut found: Vec<(u32, Arc<str>)> = lexical
        .found
        .iter()
        .map(|doc| {
            let at = *doc as usize;
            let score =
                weights.coverage * lexical.coverage[at] + weights.bm25 * lexical.bm25[at] / most;
            (millionths(score), graph.docs.get(*doc).unwrap().fact.fact_id.clone())
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    found.into_iter().map(|it| it.1.to_string()).collect()
}

#[test]
fn quality_the_walk_finds_what_words_alone_do_not() {
    let graph = snapshot(world());
    let with_walk = |text: &str| -> Vec<String> {
        let hits = graph.rank(&ask(text), DEEP, |_| true);
        hits.iter().map(|hit| hit.fact.fact_id.to_string()).collect()
    };
    let mut measured = Vec::new();
    for (name, cases) in [("one hop", single_hop()), ("two hops", multi_hop())] {
        let words = measure(&cases, |text| by_words(&graph, text));
        let walk = measure(&cases, with_walk);
        println!("{name}: words {words:.3?}\n{name}: walk  {walk:.3?}");
        measured.push((words, walk));
    }
    let [(words, walk), (far_words, far_walk)] = measured[..] else { panic!("two sets") };
    assert!(walk.recall_at_5 >= words.recall_at_5 - 0.01);
    assert!(walk.mrr >= words.mrr - 0.01);
    assert!(walk.ndcg_at_10 >= words.ndcg_at_10 - 0.01);
    assert!(far_walk.recall_at_5 > far_words.recall_at_5 + 0.1);
    assert!(far_walk.ndcg_at_10 > far_words.ndcg_at_10 + 0.05);
}
