//! The shim of the suite's external agents, as a program.

fn main() {
    std::process::exit(carport_agents_process::shim::run());
}
