// Shows what the API says.
const response = await fetch('api/message');
const { message } = await response.json();
document.querySelector('#message').textContent = message;
