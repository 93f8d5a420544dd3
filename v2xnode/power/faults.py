"""Every fault of the power path: a code for programs, a sentence for the driver."""

SENTENCES = {
    # compatibility and contact
    "incompatible": "The two sides have no voltage and current in common.",
    "lock_failed": "The connector does not lock. Plug it in again, all the way.",
    "voltage_before_contact": "There is voltage on the connector before anything was switched on. Do not touch it.",
    "contact_missing": "The other side is not plugged in, or does not answer on the pilot wire.",
    "unplugged": "The plug came out. Power is off.",
    "lock_lost": "The connector came unlocked. Power is off.",
    "pilot_lost": "The pilot wire reports a fault. Power is off.",
    "earth_missing": "Protective earth is missing. Use another outlet or cable.",
    "earth_lost": "Protective earth was lost. Power is off.",
    # cable check
    "cable_check_late": "The insulation test did not finish in time.",
    "insulation_low": "The insulation of cable or vehicle is not good enough.",
    "insulation_lost": "The insulation became too weak. Power is off.",
    "monitor_conflict": "Not exactly one insulation monitor is watching the cable. Power is off.",
    "rcd_test_failed": "The residual current device failed its test.",
    "rcd_tripped": "The residual current device tripped. Power is off.",
    # island
    "island_unproven": "The house is not proven to be cut from the grid.",
    "island_lost": "The house is no longer proven to be cut from the grid. Power is off.",
    "neutral_unbonded": "The island has no bond between neutral and earth.",
    "neutral_lost": "The bond between neutral and earth was lost. Power is off.",
    # plug check
    "pattern_failed": "The test pattern could not be put on the cable, or not be read from it.",
    "plug_unproven": "It could not be proven in time that this cable leads to the agreed partner.",
    "plug_unproven_by_peer": "The partner could not confirm in time that this cable leads to us.",
    "wrong_plug": "This cable leads to another vehicle than the agreed one. Nothing was switched on.",
    "not_allowed": "The opening meter values were not exchanged in time.",
    # pre-charge and closing
    "own_precharge_failed": "The converter did not reach the voltage of our own battery.",
    "own_contactor_stuck": "Our own contactor did not close.",
    "precharge_failed": "The cable did not reach the voltage of the battery.",
    "precharge_current": "Pre-charging draws too much current: there may be a short.",
    "peer_voltage": "The partner asks for a voltage outside our limits.",
    "peer_contactor": "The partner's contactor did not close in time.",
    "contactor_stuck": "Our contactor did not close.",
    "supply_missing": "The outlet does not deliver a proper voltage.",
    # power delivery
    "polarity_reversed": "Plus and minus are swapped.",
    "overvoltage": "The voltage is too high. Power is off.",
    "undervoltage": "The voltage is too low. Power is off.",
    "current_above_limit": "More current flows than the limit allows. Power is off.",
    "power_above_limit": "More power flows than was asked for. Power is off.",
    "power_reversed": "Power flows the wrong way. Power is off.",
    "connector_hot": "The connector is too hot. Power is off.",
    "permit_lost": "The device's permit ran out. Power is off.",
    "contactor_opened": "The contactor opened by itself. Power is off.",
    "device_fault": "The charger reports a fault of its own. Power is off.",
    "device_refused": "The charger refused a command. Power is off.",
    "sense_stale": "The charger does not answer any more. Its power goes off by itself.",
    # ending
    "ramp_stuck": "The current did not go down when it was asked to.",
    "off_stuck": "The contactor did not open in time.",
    "contactor_welded": "A contactor seems welded: the connector stays live and locked. Call an electrician.",
    "unlock_failed": "The connector does not unlock.",
}
