//! No tool leaves the workspace, whatever is linked there and whenever.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use crate::{Scene, names};

/// Every tool that takes a path, with one that leads through `path`.
fn calls(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("read_file", json!({ "path": path })),
        ("write_file", json!({ "path": path, "content": "theirs" })),
        ("edit_file", json!({ "path": path, "old_text": "secret", "new_text": "theirs" })),
        ("list_dir", json!({ "path": path })),
        ("find_files", json!({ "pattern": "*", "path": path })),
        ("grep_files", json!({ "pattern": "secret", "path": path })),
    ]
}

fn with_outside() -> Scene {
    let scene = Scene::new();
    fs::create_dir(scene.base.path().join("out")).unwrap();
    for name in ["f", "secret.txt"] {
        fs::write(scene.base.path().join("out").join(name), "secret").unwrap();
    }
    scene
}

fn untouched(scene: &Scene) {
    assert_eq!(names(&scene.base.path().join("out")), ["f", "secret.txt"]);
    assert_eq!(fs::read_to_string(scene.base.path().join("out/f")).unwrap(), "secret");
}

#[test]
fn no_tool_follows_a_path_out() {
    let scene = with_outside();
    let absolute = scene.base.path().join("out/f").to_str().unwrap().to_owned();
    symlink("../out", scene.path("directory")).unwrap();
    symlink("../out/f", scene.path("file")).unwrap();
    symlink("../out/new", scene.path("dangling")).unwrap();
    symlink(&absolute, scene.path("absolute")).unwrap();
    let outs = [
        "../out/f",
        "../out",
        "..",
        "x/../../out/f",
        &absolute,
        "directory/f",
        "directory",
        "file",
        "dangling",
        "absolute",
        "directory/new",
        "directory/new/deep",
    ];
    for (name, parameters) in outs.iter().flat_map(|out| calls(out)) {
        let error = scene.refused(name, parameters.clone()).to_string();
        assert!(!error.contains("secret"), "{name} {parameters}: {error}");
    }
    untouched(&scene);
    assert!(!scene.base.path().join("out/new").exists());
    let left = names(&scene.path(""));
    assert_eq!(left, ["absolute", "dangling", "directory", "file"], "no link was replaced");
}

#[test]
fn a_search_does_not_go_through_links() {
    let scene = with_outside();
    symlink("../out", scene.path("directory")).unwrap();
    symlink("../out/f", scene.path("file")).unwrap();
    symlink("..", scene.path("up")).unwrap();
    symlink(".", scene.path("self")).unwrap();
    assert_eq!(scene.ok("find_files", json!({ "pattern": "*" }))["files"], json!([]));
    assert_eq!(scene.ok("grep_files", json!({ "pattern": "secret" }))["files"], 0);
}

/// While a name is now a directory, now a link out, nothing of what is outside is seen or touched.
#[test]
fn a_link_made_in_between_leads_nowhere() {
    let scene = with_outside();
    let (name, link) = (scene.path("d"), scene.path("link"));
    fs::create_dir(&name).unwrap();
    fs::write(name.join("f"), "mine").unwrap();
    symlink("../out", &link).unwrap();
    let done = AtomicBool::new(false);
    let (mut reached, mut refused) = (Vec::new(), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &name, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for path in ["d/f", "d", "."].into_iter().cycle().take(600) {
            for (tool, parameters) in calls(path) {
                match scene.call(tool, parameters) {
                    Ok(output) => reached.push(format!("{tool}: {output}")),
                    Err(_) => refused += 1,
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(reached.len() > 100 && refused > 100, "both were seen: {}, {refused}", reached.len());
    let leak = reached.iter().find(|output| output.contains("secret"));
    assert_eq!(leak, None);
    untouched(&scene);
}
