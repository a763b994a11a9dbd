//! The two macros of the contract: one enrols a plugin crate, the other links a build.

/// Enrols a plugin with its methods, notifications and client requests:
/// `plugin!(Notes { methods: [Add, Remove], notifications: [Added] });`
///
/// The crate may `deny(unsafe_code)` but not `forbid` it: a row of the roll is a static in a linker
/// section, which that lint counts as unsafe.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty {
        methods: [$($method:ty),* $(,)?]
        $(, notifications: [$($notification:ty),* $(,)?])?
        $(, client_requests: [$($request:ty),* $(,)?])?
        $(,)?
    }) => {
        #[allow(unsafe_code, reason = "a row of the roll lies in a linker section")]
        const _: () = {
            #[$crate::linkme::distributed_slice($crate::CARPORT_PLUGINS)]
            #[linkme(crate = $crate::linkme)]
            static ROW: $crate::PluginEntry =
                $crate::PluginEntry::of::<$plugin>(env!("CARGO_PKG_VERSION"));
        };
        $( $crate::inventory::submit! { $crate::MethodEntry::of::<$method>() } )*
        $( $( $crate::inventory::submit! { $crate::NotificationEntry::of::<$notification>() } )* )?
        $( $( $crate::inventory::submit! { $crate::ClientRequestEntry::of::<$request>() } )* )?
    };
}

/// The bill of materials of a binary: links each crate whose feature is on, and lists what must
/// answer the roll. `link! { "runs" => carport_runs { "runs" } }` names the feature (which is the
/// plugin's id), the crate, and the namespaces that the feature would bring.
///
/// A build without features of its own names the crate that brings a plugin first:
/// `link! { carport_door as "door" { "door" } }`. Such a plugin is always linked.
#[macro_export]
macro_rules! link {
    ($($feature:literal => $krate:ident { $($namespace:literal),* $(,)? }),* $(,)?) => {
        $( #[cfg(feature = $feature)] use $krate as _; )*

        /// Every plugin that this binary knows of, linked or not.
        pub const BILL: &[$crate::BillRow] = &[
            $( $crate::BillRow {
                feature: $feature,
                linked: cfg!(feature = $feature),
                namespaces: &[$($namespace),*],
            } ),*
        ];
    };
    ($($krate:ident as $id:literal { $($namespace:literal),* $(,)? }),* $(,)?) => {
        $( use $krate as _; )*

        /// Every plugin of this binary.
        pub const BILL: &[$crate::BillRow] = &[
            $( $crate::BillRow { feature: $id, linked: true, namespaces: &[$($namespace),*] } ),*
        ];
    };
}

/// One row of a bill of materials.
#[derive(Debug, Clone, Copy)]
pub struct BillRow {
    /// The cargo feature, which is the plugin's id.
    pub feature: &'static str,
    /// Whether this build has the feature.
    pub linked: bool,
    /// The namespaces, or single method names, that the plugin brings.
    pub namespaces: &'static [&'static str],
}
