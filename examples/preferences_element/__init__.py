"""The settings panel of a dashboard: `<notification-preferences>` in plain HTML, in React and in Vue."""
