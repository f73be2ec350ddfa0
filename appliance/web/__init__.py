"""The technician's site: pages that work without JavaScript, and stay live with it."""
